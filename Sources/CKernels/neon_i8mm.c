#define DK_I8MM 1
#include "neon.c"
