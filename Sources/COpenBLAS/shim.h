#include <cblas.h>

/* Of LAPACK, which OpenBLAS carries without its C header: Fortran's calls, matrices column by column, the length of a
 * string behind all else. */
void sgeqrf_(const int *rows, const int *columns, float *a, const int *stride, float *tau, float *work,
             const int *size, int *info);
void sorgqr_(const int *rows, const int *columns, const int *reflectors, float *a, const int *stride,
             const float *tau, float *work, const int *size, int *info);
void sgesdd_(const char *job, const int *rows, const int *columns, float *a, const int *a_stride, float *values,
             float *left, const int *left_stride, float *right, const int *right_stride, float *work,
             const int *size, int *indices, int *info, unsigned long job_length);
