// vectors write FILE    writes a hash of every result of the portable kernels
// vectors check FILE    compares every table of this CPU with such a file; ends with 1 if any differs
// vectors tables        names the tables of this CPU
#include "harness.h"

static void run(const dk_kernels *k) {
    results_count = 0;
    run_elementwise(k);
    run_conversions(k);
    run_products(k);
    run_merges(k);
    run_low_rank(k);
    run_attention(k);
}

static int write_hashes(const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) return perror(path), 2;
    run(tables_at(tables_count() - 1));
    for (int i = 0; i < results_count; i++)
        fprintf(file, "%016llx %s\n", (unsigned long long)results[i].hash, results[i].name);
    return fclose(file) == 0 ? 0 : 2;
}

static int check(const dk_kernels *k, FILE *file) {
    char name[128];
    unsigned long long hash;
    run(k);
    rewind(file);
    for (int i = 0; i < results_count; i++) {
        const result *r = &results[i];
        if (fscanf(file, "%llx %127[^\n]", &hash, name) != 2 || strcmp(name, r->name) != 0) {
            printf("  %s: '%s' is not in the reference; write it anew\n", k->name, r->name);
            return 1;
        }
        if (hash != r->hash) {
            printf("  %s: DIFFERS from the portable kernels in '%s'\n", k->name, r->name);
            return 1;
        }
    }
    if (fscanf(file, "%llx", &hash) != EOF) {
        printf("  %s: the reference has more results; write it anew\n", k->name);
        return 1;
    }
    printf("  %s: %d results, all bits equal\n", k->name, results_count);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "tables") == 0) {
        for (int i = 0; i < tables_count(); i++) printf("%s%s", i ? " " : "", tables_at(i)->name);
        return printf("\n"), 0;
    }
    if (argc == 3 && strcmp(argv[1], "write") == 0) return write_hashes(argv[2]);
    if (argc != 3 || strcmp(argv[1], "check") != 0)
        return fputs("vectors write FILE | check FILE | tables\n", stderr), 2;
    FILE *file = fopen(argv[2], "r");
    if (!file) return perror(argv[2]), 2;
    int failed = 0;
    for (int i = 0; i < tables_count(); i++) failed |= check(tables_at(i), file);
    fclose(file);
    free(results);
    return failed;
}
