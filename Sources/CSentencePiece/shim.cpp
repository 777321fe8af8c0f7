#include "CSentencePiece.h"

#include <sentencepiece_processor.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct dora_sp_model {
    sentencepiece::SentencePieceProcessor processor;
};

namespace {

// A fixed buffer, so that reporting a failure cannot fail.
thread_local char last_error[256];

dora_sp_status fail(dora_sp_status status, const char *message) {
    std::strncpy(last_error, message, sizeof last_error - 1);
    last_error[sizeof last_error - 1] = '\0';
    return status;
}

// The only place with a `catch`.
template <typename Body>
dora_sp_status guarded(Body body) {
    try {
        return body();
    } catch (const std::exception &error) {
        return fail(DORA_SP_FAILED, error.what());
    } catch (...) {
        return fail(DORA_SP_FAILED, "an unknown exception");
    }
}

template <typename T>
T *copied(const T *source, size_t count) {
    T *copy = static_cast<T *>(std::malloc(count * sizeof(T)));
    if (copy != nullptr) std::memcpy(copy, source, count * sizeof(T));
    return copy;
}

}  // namespace

dora_sp_status dora_sp_load(const void *bytes, size_t length, dora_sp_model **model) {
    if (bytes == nullptr || model == nullptr) return fail(DORA_SP_INVALID_ARGUMENT, "NULL argument");
    *model = nullptr;
    // Protocol buffers count in `int`.
    if (length > static_cast<size_t>(std::numeric_limits<int>::max()))
        return fail(DORA_SP_INVALID_MODEL, "larger than 2 GB");
    return guarded([&] {
        auto loaded = std::make_unique<dora_sp_model>();
        const auto status =
            loaded->processor.LoadFromSerializedProto({static_cast<const char *>(bytes), length});
        if (!status.ok()) return fail(DORA_SP_INVALID_MODEL, status.message());
        *model = loaded.release();
        return DORA_SP_OK;
    });
}

void dora_sp_free(dora_sp_model *model) { delete model; }

dora_sp_status dora_sp_encode(
    const dora_sp_model *model, const char *text, size_t length, int32_t **ids, size_t *count) {
    if (ids == nullptr || count == nullptr) return fail(DORA_SP_INVALID_ARGUMENT, "NULL argument");
    *ids = nullptr;
    *count = 0;
    if (model == nullptr || (text == nullptr && length > 0))
        return fail(DORA_SP_INVALID_ARGUMENT, "NULL argument");
    return guarded([&] {
        std::vector<int> encoded;
        const auto status = model->processor.Encode({text, length}, &encoded);
        if (!status.ok()) return fail(DORA_SP_FAILED, status.message());
        if (encoded.empty()) return DORA_SP_OK;
        *ids = copied<int32_t>(encoded.data(), encoded.size());
        if (*ids == nullptr) return fail(DORA_SP_FAILED, "out of memory");
        *count = encoded.size();
        return DORA_SP_OK;
    });
}

void dora_sp_free_ids(int32_t *ids) { std::free(ids); }

int32_t dora_sp_piece_count(const dora_sp_model *model) {
    return model == nullptr ? 0 : model->processor.GetPieceSize();
}

int32_t dora_sp_bos(const dora_sp_model *model) {
    return model == nullptr ? -1 : model->processor.bos_id();
}

int32_t dora_sp_eos(const dora_sp_model *model) {
    return model == nullptr ? -1 : model->processor.eos_id();
}

int32_t dora_sp_id(const dora_sp_model *model, const char *text, size_t length) {
    if (model == nullptr || text == nullptr) return -1;
    int32_t found = -1;
    guarded([&] {
        // The library answers with the unknown piece for what it does not have.
        const int id = model->processor.PieceToId({text, length});
        if (id >= 0 && id < model->processor.GetPieceSize() &&
            std::string_view(model->processor.IdToPiece(id)) == std::string_view(text, length))
            found = id;
        return DORA_SP_OK;
    });
    return found;
}

dora_sp_status dora_sp_piece(
    const dora_sp_model *model, int32_t id, const char **bytes, size_t *length, uint32_t *flags) {
    if (model == nullptr || bytes == nullptr || length == nullptr || flags == nullptr)
        return fail(DORA_SP_INVALID_ARGUMENT, "NULL argument");
    return guarded([&] {
        const auto &processor = model->processor;
        if (id < 0 || id >= processor.GetPieceSize())
            return fail(DORA_SP_INVALID_ARGUMENT, "no piece has this id");
        const std::string &piece = processor.IdToPiece(id);
        *bytes = piece.data();
        *length = piece.size();
        *flags = (processor.IsControl(id) ? DORA_SP_CONTROL : 0) |
                 (processor.IsUnknown(id) ? DORA_SP_UNKNOWN : 0) |
                 (processor.IsUnused(id) ? DORA_SP_UNUSED : 0) | (processor.IsByte(id) ? DORA_SP_BYTE : 0);
        return DORA_SP_OK;
    });
}

dora_sp_status dora_sp_decode(
    const dora_sp_model *model, const int32_t *ids, size_t count, char **text, size_t *length) {
    if (text == nullptr || length == nullptr) return fail(DORA_SP_INVALID_ARGUMENT, "NULL argument");
    *text = nullptr;
    *length = 0;
    if (model == nullptr || (ids == nullptr && count > 0))
        return fail(DORA_SP_INVALID_ARGUMENT, "NULL argument");
    return guarded([&] {
        std::string decoded;
        const auto status = model->processor.Decode(std::vector<int>(ids, ids + count), &decoded);
        if (!status.ok()) return fail(DORA_SP_FAILED, status.message());
        if (decoded.empty()) return DORA_SP_OK;
        *text = copied<char>(decoded.data(), decoded.size());
        if (*text == nullptr) return fail(DORA_SP_FAILED, "out of memory");
        *length = decoded.size();
        return DORA_SP_OK;
    });
}

void dora_sp_free_text(char *text) { std::free(text); }

const char *dora_sp_last_error(void) { return last_error; }
