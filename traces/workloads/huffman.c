/* Huffman coding of 5,000 bytes of text: counts, builds the tree, writes the codes bit by bit, walks the tree back.
 * Right when the text comes back and the coded bits are the sum of the inner nodes' weights. */
#include "tiny.h"

#define BYTES 5000
#define SYMBOLS 64

static struct {
    u32 weight;
    short left, right, parent;
} node[2 * SYMBOLS];
static u8 text[BYTES], decoded[BYTES], coded[BYTES];

static int lightest(int count) /* of the nodes without a parent */
{
    int best = -1;
    for (int i = 0; i < count; i++)
        if (node[i].weight && node[i].parent < 0 && (best < 0 || node[i].weight < node[best].weight))
            best = i;
    return best;
}

static int build(void)
{
    int count = SYMBOLS;
    for (;;) {
        int a = lightest(count), b;
        node[a].parent = 0;
        b = lightest(count);
        node[a].parent = -1;
        if (b < 0)
            return a;
        node[count].weight = node[a].weight + node[b].weight;
        node[count].left = (short)a;
        node[count].right = (short)b;
        node[count].parent = -1;
        node[a].parent = node[b].parent = (short)count++;
    }
}

static u32 encode(int root)
{
    u32 bits = 0;
    for (int i = 0; i < BYTES; i++) {
        u8 path[SYMBOLS];
        int depth = 0;
        for (int at = text[i]; at != root; at = node[at].parent)
            path[depth++] = node[node[at].parent].right == at;
        while (depth-- > 0) {
            if (path[depth])
                coded[bits >> 3] |= (u8)(1 << (bits & 7));
            else
                coded[bits >> 3] &= (u8)~(1 << (bits & 7));
            bits++;
        }
    }
    return bits;
}

int run(void)
{
    u32 expected = 0, bit = 0;
    for (int i = 0; i < 2 * SYMBOLS; i++) {
        node[i].weight = 0;
        node[i].parent = -1;
    }
    for (int i = 0; i < BYTES; i++) { /* few letters are frequent: the least of three */
        u32 a = random32() % SYMBOLS, b = random32() % SYMBOLS, c = random32() % SYMBOLS;
        a = a < b ? a : b;
        text[i] = (u8)(a < c ? a : c);
        node[text[i]].weight++;
    }
    int root = build();
    for (int i = SYMBOLS; i <= root; i++)
        expected += node[i].weight;
    if (encode(root) != expected)
        return 1;
    for (int i = 0; i < BYTES; i++) {
        int at = root;
        while (at >= SYMBOLS) {
            at = coded[bit >> 3] >> (bit & 7) & 1 ? node[at].right : node[at].left;
            bit++;
        }
        decoded[i] = (u8)at;
    }
    for (int i = 0; i < BYTES; i++)
        if (decoded[i] != text[i])
            return 2;
    return bit != expected;
}
