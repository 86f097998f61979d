/* Fourier coefficients of (x+1)^x on [0,2], 100 pairs, by the trapezoidal rule with 500 steps; the x87 instructions
 * make sine, cosine, logarithm and power, so most of it is arithmetic between few loads and stores. Right when the
 * series, summed up at a few points inside, is near the function. */
#include "tiny.h"

#define PAIRS 100
#define STEPS 500
#define OMEGA 3.14159265358979323846 /* 2 pi / length of the interval */

static volatile double cosines[PAIRS], sines[PAIRS];

static double sine(double x)
{
    __asm__("fsin" : "+t"(x));
    return x;
}

static double cosine(double x)
{
    __asm__("fcos" : "+t"(x));
    return x;
}

static double function(double x) /* (x+1)^x = 2^(x log2(x+1)) */
{
    double y, whole;
    __asm__("fyl2x" : "=t"(y) : "0"(x + 1), "u"(x) : "st(1)");
    __asm__("frndint" : "=t"(whole) : "0"(y));
    __asm__("f2xm1" : "=t"(y) : "0"(y - whole));
    y += 1;
    __asm__("fscale" : "=t"(y) : "0"(y), "u"(whole));
    return y;
}

int run(void)
{
    const double step = 2.0 / STEPS;
    for (int k = 0; k < PAIRS; k++) {
        double a = 0, b = 0;
        for (int i = 0; i <= STEPS; i++) {
            double x = i * step, weight = i == 0 || i == STEPS ? 0.5 : 1.0, y = weight * function(x);
            a += y * cosine(k * OMEGA * x);
            b += y * sine(k * OMEGA * x);
        }
        cosines[k] = a * step;
        sines[k] = b * step;
    }
    for (int i = 4; i <= 12; i += 2) { /* away from the ends, where the series jumps */
        double x = i * 0.125, sum = cosines[0] / 2, error;
        for (int k = 1; k < PAIRS; k++)
            sum += cosines[k] * cosine(k * OMEGA * x) + sines[k] * sine(k * OMEGA * x);
        error = sum - function(x);
        if (error > 0.2 || error < -0.2)
            return 1;
    }
    return 0;
}
