/* A network of 35 inputs, 8 hidden and 8 outputs learns 26 patterns by back-propagation with momentum, in doubles.
 * Right when the mean squared error falls below half of what it was. */
#include "tiny.h"

#define IN 35
#define HIDDEN 8
#define OUT 8
#define PATTERNS 26
#define EPOCHS 14

static double input[PATTERNS][IN], wanted[PATTERNS][OUT];
static double hidden[HIDDEN + 1], output[OUT];
static double to_hidden[HIDDEN][IN + 1], to_output[OUT][HIDDEN + 1]; /* the last weight is the bias */
static double hidden_step[HIDDEN][IN + 1], output_step[OUT][HIDDEN + 1];

static double squash(double x) /* the logistic function; 2^z by the x87 */
{
    double z = -x * 1.44269504088896340736, whole, y;
    __asm__("frndint" : "=t"(whole) : "0"(z));
    __asm__("f2xm1" : "=t"(y) : "0"(z - whole));
    y += 1;
    __asm__("fscale" : "=t"(y) : "0"(y), "u"(whole));
    return 1 / (1 + y);
}

static double random_weight(void)
{
    return (double)(int)random32() / 4294967296.0;
}

static double learn(int p)
{
    double error = 0, output_delta[OUT];
    for (int h = 0; h < HIDDEN; h++) {
        double sum = to_hidden[h][IN];
        for (int i = 0; i < IN; i++)
            sum += to_hidden[h][i] * input[p][i];
        hidden[h] = squash(sum);
    }
    hidden[HIDDEN] = 1;
    for (int o = 0; o < OUT; o++) {
        double sum = 0;
        for (int h = 0; h <= HIDDEN; h++)
            sum += to_output[o][h] * hidden[h];
        output[o] = squash(sum);
        double miss = wanted[p][o] - output[o];
        error += miss * miss;
        output_delta[o] = miss * output[o] * (1 - output[o]);
    }
    for (int h = 0; h < HIDDEN; h++) {
        double back = 0;
        for (int o = 0; o < OUT; o++)
            back += output_delta[o] * to_output[o][h];
        back *= hidden[h] * (1 - hidden[h]);
        for (int i = 0; i <= IN; i++) {
            hidden_step[h][i] = 0.6 * back * (i < IN ? input[p][i] : 1) + 0.5 * hidden_step[h][i];
            to_hidden[h][i] += hidden_step[h][i];
        }
    }
    for (int o = 0; o < OUT; o++)
        for (int h = 0; h <= HIDDEN; h++) {
            output_step[o][h] = 0.6 * output_delta[o] * hidden[h] + 0.5 * output_step[o][h];
            to_output[o][h] += output_step[o][h];
        }
    return error;
}

int run(void)
{
    double first = 0, last = 0;
    for (int p = 0; p < PATTERNS; p++) {
        for (int i = 0; i < IN; i++)
            input[p][i] = random32() & 1 ? 0.9 : 0.1;
        for (int o = 0; o < OUT; o++)
            wanted[p][o] = (0x41 + p) >> o & 1 ? 0.9 : 0.1;
    }
    for (int h = 0; h < HIDDEN; h++)
        for (int i = 0; i <= IN; i++)
            to_hidden[h][i] = random_weight();
    for (int o = 0; o < OUT; o++)
        for (int h = 0; h <= HIDDEN; h++)
            to_output[o][h] = random_weight();
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        last = 0;
        for (int p = 0; p < PATTERNS; p++)
            last += learn(p);
        if (epoch == 0)
            first = last;
    }
    return !(last * 2 < first);
}
