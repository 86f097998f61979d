/* The assignment problem, 32 workers and 32 jobs, by the Hungarian method in its row-by-row form (Kuhn 1955, Munkres
 * 1957; shortest augmenting paths over potentials). Right when the prices prove it: no cost is below row price plus
 * column price, every chosen pair's cost is equal to it, and each worker has one job. */
#include "tiny.h"

#define N 32
#define FAR 0x3fffffff

static int cost[N + 1][N + 1], row_price[N + 1], column_price[N + 1], worker_of[N + 1], way[N + 1], slack[N + 1];
static u8 used[N + 1];

static void assign(int row)
{
    int column = 0;
    worker_of[0] = row;
    for (int j = 0; j <= N; j++) {
        slack[j] = FAR;
        used[j] = 0;
    }
    do {
        int worker = worker_of[column], least = FAR, next = 0;
        used[column] = 1;
        for (int j = 1; j <= N; j++) {
            if (used[j])
                continue;
            int reduced = cost[worker][j] - row_price[worker] - column_price[j];
            if (reduced < slack[j]) {
                slack[j] = reduced;
                way[j] = column;
            }
            if (slack[j] < least) {
                least = slack[j];
                next = j;
            }
        }
        for (int j = 0; j <= N; j++) {
            if (used[j]) {
                row_price[worker_of[j]] += least;
                column_price[j] -= least;
            } else {
                slack[j] -= least;
            }
        }
        column = next;
    } while (worker_of[column]);
    while (column) { /* turn the path over */
        int before = way[column];
        worker_of[column] = worker_of[before];
        column = before;
    }
}

int run(void)
{
    for (int round = 0; round < 6; round++) {
        u32 seen = 0;
        for (int i = 0; i <= N; i++) {
            row_price[i] = column_price[i] = worker_of[i] = 0;
            for (int j = 0; j <= N; j++)
                cost[i][j] = (int)(random32() % 10000);
        }
        for (int i = 1; i <= N; i++)
            assign(i);
        for (int i = 1; i <= N; i++)
            for (int j = 1; j <= N; j++)
                if (row_price[i] + column_price[j] > cost[i][j])
                    return 1;
        for (int j = 1; j <= N; j++) {
            if (row_price[worker_of[j]] + column_price[j] != cost[worker_of[j]][j])
                return 2;
            seen |= 1u << (worker_of[j] - 1);
        }
        if (seen != 0xffffffffu)
            return 3;
    }
    return 0;
}
