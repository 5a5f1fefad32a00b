// account.c - the numbers at the end of a run
#include "account.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

// 0 where nothing was counted, for instance a rate in a run that did nothing.
static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

// Query heads on one bank.
static int n_group(const struct language *language) {
    const struct ley_model_config *config = ley_model_config(language->model);
    return config->n_heads / config->n_kv_heads;
}

// Layers follow one another; within a layer all banks work at once (M17).
static double chip_s(const struct language *language) {
    return ley_model_config(language->model)->n_layers *
           ley_hardware_busy_s(&language->hardware, n_group(language));
}

// Counts are divided by all tokens fed, prompt included: each was written and read.
static void print_chip(const struct account *account, const struct language *language) {
    const struct ley_ledger *total = &account->ledgers->total;
    double n = (double)(account->n_prompt + account->n_generated);
    int ring = ley_hardware_ring(&language->hardware);
    // At the end: a ring that never filled up holds what was fed.
    int64_t n_used = account->n_tokens < ring ? account->n_tokens : ring;
    fprintf(stderr, "chip       %.4g us of attention a token", 1e6 * chip_s(language));
    if (n_used > 0) {
        fprintf(stderr, "; ring %lld of %d columns in use", (long long)n_used, ring);
    }
    fputc('\n', stderr);
    fprintf(
        stderr,
        "a token    %.4g cells written, %.4g read, %.3g pC, %.4g scores, %.4g outputs, "
        "%.4g counts\n",
        (double)total->cells_written / n, (double)(total->k_cell_reads + total->v_cell_reads) / n,
        1e12 * (total->k_charge_c + total->v_charge_c) / n, (double)total->score_conversions / n,
        (double)total->output_conversions / n, (double)total->counter_ticks / n);
    // Of all score conversions: zero ones send no pulse (M11), saturated ones the longest.
    fprintf(stderr,
            "signals    scores %.1f %% zero, %.2f %% saturated; outputs %.2f %% saturated\n",
            100 * ratio((double)total->zero_scores, (double)total->score_conversions),
            100 * ratio((double)total->saturated_scores, (double)total->score_conversions),
            100 * ratio((double)total->saturated_outputs, (double)total->output_conversions));
}

// Simulator speed is about this machine, chip numbers about the simulated one: never mixed.
void account_print(const struct account *account, const struct language *language) {
    fprintf(stderr, "simulator  prompt %lld tokens, %.1f tokens/s; generated %lld, %.1f tokens/s\n",
            (long long)account->n_prompt, ratio((double)account->n_prompt, account->prompt_s),
            (long long)account->n_generated,
            ratio((double)account->n_generated, account->generate_s));
    if (!language->is_digital) {
        print_chip(account, language);
        run_cost_print(account->cost, language, account->ledgers);
        bool is_adapted = strcmp(language->scaler_origin, "adapted") == 0;
        fprintf(stderr, "scalers    %s%s\n", language->scaler_origin,
                is_adapted ? "" : "; the model is not adapted to this chip: expect poor text");
    }
}

// Keys end in their unit; shares are of 1, unlike the percent of the printed account.
enum ley_status account_add_json(struct cJSON *root, const struct account *account,
                                 const struct language *language) {
    language_add_name(root, language);
    cJSON_AddNumberToObject(root, "prompt_tokens", (double)account->n_prompt);
    cJSON_AddNumberToObject(root, "generated_tokens", (double)account->n_generated);
    cJSON_AddNumberToObject(root, "prompt_tokens_per_s",
                            ratio((double)account->n_prompt, account->prompt_s));
    cJSON_AddNumberToObject(root, "generated_tokens_per_s",
                            ratio((double)account->n_generated, account->generate_s));
    if (language->is_digital) {
        language_add_shape(root, language); // else it comes with the cost
        return LEY_OK;
    }
    const struct ley_ledger *total = &account->ledgers->total;
    struct cJSON *chip = cJSON_AddObjectToObject(root, "chip");
    int ring = ley_hardware_ring(&language->hardware);
    cJSON_AddNumberToObject(chip, "attention_per_token_s", chip_s(language));
    cJSON_AddNumberToObject(chip, "ring_columns", ring);
    if (account->n_tokens > 0) {
        cJSON_AddNumberToObject(chip, "ring_columns_in_use",
                                (double)(account->n_tokens < ring ? account->n_tokens : ring));
    }
    cJSON_AddNumberToObject(chip, "zero_scores",
                            ratio((double)total->zero_scores, (double)total->score_conversions));
    cJSON_AddNumberToObject(
        chip, "saturated_scores",
        ratio((double)total->saturated_scores, (double)total->score_conversions));
    cJSON_AddNumberToObject(
        chip, "saturated_outputs",
        ratio((double)total->saturated_outputs, (double)total->output_conversions));
    LEY_TRY(run_cost_add_json(root, account->cost, language, account->ledgers));
    cJSON_AddItemToObject(root, "events", ley_ledger_json(total));
    cJSON_AddStringToObject(root, "scalers", language->scaler_origin);
    cJSON_AddItemToObject(root, "hardware",
                          ley_params_json(ley_hardware_params(), &language->hardware));
    return LEY_OK;
}
