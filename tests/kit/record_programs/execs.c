/* Executes a program that is not there, then argv[1] with the rest of the arguments; exits with 9 if neither goes. */
#include <unistd.h>

int main(int argc, char **argv)
{
    (void)argc;
    execv("/nonexistent/program", argv);
    execv(argv[1], argv + 1);
    return 9;
}
