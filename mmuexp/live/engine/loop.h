/*
 * The loop over rows, compiled into each scheme around its fast paths.
 *
 * Before it is included, a scheme defines
 *   LOAD(n, vaddr, at)          n = 1, 2, 4, 8: the listing; looks up `vaddr`, reads n bytes at `at`; gives the data
 *   STORE(n, vaddr, at, data)   the same for a store
 * and may define
 *   LOAD_PIECE, STORE_PIECE     the same where the row is one of several pieces
 *   PIECES_FIRST                a statement before these; it sees vaddr, size, store
 *   CONTEXT                     what LOAD and STORE need beside it: a register of translated code (translate.h)
 *   ADDRESS(vaddr)              what the fast path takes for a guest address
 *   LOOP                        the name of the function; STOPS_AT_BLOCK 1: it ends behind an EXEC row
 *   EACH_ACCESS                 a statement before each row that is an access; it sees `i`
 *
 * A size that is no single host instruction is done in pieces of 8, 4, 2 and 1 bytes, all looked up by the row's first
 * byte. Whoever completes a row (a handler, a helper) completes all of it, and says so by `row_done`.
 */
#include <string.h>

#ifndef LOOP
#define LOOP run_rows
#endif
#ifndef CONTEXT
#define CONTEXT 0
#endif
#ifndef ADDRESS
#define ADDRESS(vaddr) (vaddr)
#endif
#ifndef LOAD_PIECE
#define LOAD_PIECE LOAD
#define STORE_PIECE STORE
#endif
#ifndef PIECES_FIRST
#define PIECES_FIRST (void)0
#endif
#ifndef STOPS_AT_BLOCK
#define STOPS_AT_BLOCK 0
#endif
#ifndef EACH_ACCESS
#define EACH_ACCESS (void)0
#endif

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

static __attribute__((noinline)) void CONCAT(LOOP, _pieces)(uint64_t vaddr, unsigned size, bool store)
{
    row_done = false;
    PIECES_FIRST;
    for (unsigned done = 0; done < size && !row_done;) {
        unsigned left = size - done;
        uint64_t at = vaddr + done, data = 0;
        uint8_t *bytes = row_bytes + done;
        if (store && checked)
            memcpy(&data, bytes, left < 8 ? left : 8);
        if (left >= 8) {
            /* clang-format off */
            if (store) STORE_PIECE(8, vaddr, at, data); else data = LOAD_PIECE(8, vaddr, at);
            left = 8;
        } else if (left >= 4) {
            if (store) STORE_PIECE(4, vaddr, at, data); else data = LOAD_PIECE(4, vaddr, at);
            left = 4;
        } else if (left >= 2) {
            if (store) STORE_PIECE(2, vaddr, at, data); else data = LOAD_PIECE(2, vaddr, at);
            left = 2;
        } else {
            if (store) STORE_PIECE(1, vaddr, at, data); else data = LOAD_PIECE(1, vaddr, at);
            /* clang-format on */
        }
        if (!store && !row_done && checked)
            memcpy(bytes, &data, left);
        done += left;
    }
}

static inline __attribute__((always_inline)) void CONCAT(LOOP, _body)(const bool check)
{
    for (uint32_t i = row_at; i < rows_end; i++) {
        unsigned op = rows.op[i];
        row_at = i;
        if (op > OP_STORE) {
            if (op != OP_EXEC || !entered_before(i))
                other_row(i);
            if (STOPS_AT_BLOCK && op == OP_EXEC) {
                row_at = i + 1;
                return;
            }
            continue;
        }
        unsigned size = rows.size[i];
        uint64_t vaddr = ADDRESS((uint64_t)rows.vaddr[i]), data = i;
        EACH_ACCESS;
        if (check) {
            name_row(rows_before + i, op == OP_STORE ? size : 0);
            memcpy(&data, row_bytes, 8);
        }
        switch (size << 1 | op) {
            /* clang-format off */
        case 2: data = LOAD(1, vaddr, vaddr); break;
        case 3: STORE(1, vaddr, vaddr, data); break;
        case 4: data = LOAD(2, vaddr, vaddr); break;
        case 5: STORE(2, vaddr, vaddr, data); break;
        case 8: data = LOAD(4, vaddr, vaddr); break;
        case 9: STORE(4, vaddr, vaddr, data); break;
        case 16: data = LOAD(8, vaddr, vaddr); break;
        case 17: STORE(8, vaddr, vaddr, data); break;
        default: CONCAT(LOOP, _pieces)(vaddr, size, op == OP_STORE); goto whole;
            /* clang-format on */
        }
        if (check && op == OP_LOAD)
            memcpy(row_bytes, &data, 8);
    whole:
        if (check) {
            struct row row = current_row();
            check_row(&row);
        }
        if (stores_pass && op == OP_STORE)
            store_passed(i);
    }
    row_at = rows_end;
}

static void LOOP(void)
{
    if (checked)
        CONCAT(LOOP, _body)(true);
    else
        CONCAT(LOOP, _body)(false);
}

#undef LOOP
#undef LOAD_PIECE
#undef STORE_PIECE
#undef PIECES_FIRST
#undef ADDRESS
#undef STOPS_AT_BLOCK
#undef EACH_ACCESS
