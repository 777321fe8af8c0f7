// A hypotf of the program's own, for no caller here: Swift's static library holds one that nobody calls, and the C
// library's would be the only thing that programs need glibc 2.35 for, not 2.34.
#include <math.h>

__attribute__((visibility("hidden"))) float hypotf(float x, float y) {
    if (isinf(x) || isinf(y)) return INFINITY;
    // Squares of floats fit in doubles.
    return (float)sqrt((double)x * x + (double)y * y);
}
