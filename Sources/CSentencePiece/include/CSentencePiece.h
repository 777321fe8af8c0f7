#pragma once
// libsentencepiece behind a C interface. No exception leaves it; every function that can fail returns a status
// and says more in `dora_sp_last_error`. NULL handles and pointers are answered with an error, never a crash.
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A loaded model. Immutable, so any number of threads may use it at once.
typedef struct dora_sp_model dora_sp_model;

typedef enum {
    DORA_SP_OK = 0,
    /// An argument is NULL or out of range.
    DORA_SP_INVALID_ARGUMENT = 1,
    /// The bytes are no model that the library accepts.
    DORA_SP_INVALID_MODEL = 2,
    /// The library refused, or ran out of memory.
    DORA_SP_FAILED = 3,
} dora_sp_status;

typedef enum {
    DORA_SP_CONTROL = 1,
    DORA_SP_UNKNOWN = 2,
    DORA_SP_UNUSED = 4,
    DORA_SP_BYTE = 8,
} dora_sp_flags;

/// Parses `length` bytes of a serialized model. On success the caller owns `*model`.
dora_sp_status dora_sp_load(const void *bytes, size_t length, dora_sp_model **model);

/// Frees a model; NULL is fine.
void dora_sp_free(dora_sp_model *model);

/// Encodes `length` bytes of UTF-8 without special ids. On success the caller owns `*ids`, which it frees with
/// `dora_sp_free_ids`; NULL when `*count` is 0.
dora_sp_status dora_sp_encode(
    const dora_sp_model *model, const char *text, size_t length, int32_t **ids, size_t *count);

/// Frees ids; NULL is fine.
void dora_sp_free_ids(int32_t *ids);

/// The number of pieces; 0 for NULL.
int32_t dora_sp_piece_count(const dora_sp_model *model);

/// Id of the beginning-of-sentence piece, -1 if there is none.
int32_t dora_sp_bos(const dora_sp_model *model);

/// Id of the end-of-sentence piece, -1 if there is none.
int32_t dora_sp_eos(const dora_sp_model *model);

/// Id of the piece that is `length` bytes of text, -1 if there is none.
int32_t dora_sp_id(const dora_sp_model *model, const char *text, size_t length);

/// The bytes of a piece (valid as long as the model lives, not zero-terminated) and its `dora_sp_flags`.
dora_sp_status dora_sp_piece(
    const dora_sp_model *model, int32_t id, const char **bytes, size_t *length, uint32_t *flags);

/// Decodes ids by the library itself. On success the caller owns `*text` (not zero-terminated), which it frees
/// with `dora_sp_free_text`.
dora_sp_status dora_sp_decode(
    const dora_sp_model *model, const int32_t *ids, size_t count, char **text, size_t *length);

/// Frees text; NULL is fine.
void dora_sp_free_text(char *text);

/// What went wrong in this thread's last call that failed; never NULL, valid until the next one.
const char *dora_sp_last_error(void);

#ifdef __cplusplus
}
#endif
