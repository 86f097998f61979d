/* LU decomposition of a 72 x 72 matrix of doubles with partial pivoting, and the solution of one system. Right when
 * the solution is the vector that the right-hand side was made from, within 1e-9. */
#include "tiny.h"

#define N 72

static double matrix[N][N], vector[N], solution[N];

static double size(double x)
{
    return x < 0 ? -x : x;
}

static int decompose(void)
{
    for (int k = 0; k < N; k++) {
        int pivot = k;
        for (int i = k + 1; i < N; i++)
            if (size(matrix[i][k]) > size(matrix[pivot][k]))
                pivot = i;
        if (matrix[pivot][k] == 0)
            return 1;
        for (int j = 0; j < N; j++) {
            double swap = matrix[k][j];
            matrix[k][j] = matrix[pivot][j];
            matrix[pivot][j] = swap;
        }
        double swap = vector[k];
        vector[k] = vector[pivot];
        vector[pivot] = swap;
        for (int i = k + 1; i < N; i++) {
            double factor = matrix[i][k] /= matrix[k][k];
            for (int j = k + 1; j < N; j++)
                matrix[i][j] -= factor * matrix[k][j];
        }
    }
    return 0;
}

int run(void)
{
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) {
            matrix[i][j] = (double)(int)random32() / 2147483648.0;
            sum += matrix[i][j] * (j + 1);
        }
        vector[i] = sum; /* so the solution is 1, 2, 3 ... */
    }
    if (decompose())
        return 1;
    for (int i = 0; i < N; i++) {
        solution[i] = vector[i];
        for (int j = 0; j < i; j++)
            solution[i] -= matrix[i][j] * solution[j];
    }
    for (int i = N; i-- > 0;) {
        for (int j = i + 1; j < N; j++)
            solution[i] -= matrix[i][j] * solution[j];
        solution[i] /= matrix[i][i];
    }
    for (int i = 0; i < N; i++)
        if (size(solution[i] - (i + 1)) > 1e-9)
            return 2;
    return 0;
}
