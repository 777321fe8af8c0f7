#define DK_EVEX 1
#include "avxvnni.c"
