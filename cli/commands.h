// commands.h - the subcommands; each takes its own argv (argv[0] is its name) and returns an exit
// code: 0 ok, 1 failed, 2 usage or bad input.
#pragma once

int cmd_adapt(int argc, char **argv);      // a model onto a chip, taught by itself
int cmd_attend(int argc, char **argv);     // arrays through analog attention
int cmd_bench(int argc, char **argv);      // how fast the simulator is here
int cmd_calibrate(int argc, char **argv);  // scalers for a model, without training
int cmd_cell(int argc, char **argv);       // the law of the memory cell
int cmd_chat(int argc, char **argv);       // a conversation
int cmd_config(int argc, char **argv);     // show, validate, compare hardware descriptions
int cmd_convert(int argc, char **argv);    // model files between formats
int cmd_cost(int argc, char **argv);       // energy, latency, area; rivals
int cmd_eval(int argc, char **argv);       // benchmark tasks
int cmd_extract(int argc, char **argv);    // an adapter out of a trained model
int cmd_info(int argc, char **argv);       // what a model file holds
int cmd_params(int argc, char **argv);     // every parameter
int cmd_perplexity(int argc, char **argv); // how well a model predicts a text
int cmd_report(int argc, char **argv);     // results as a page
int cmd_run(int argc, char **argv);        // a prompt continued
int cmd_spice(int argc, char **argv);      // circuits in ngspice
int cmd_tokenize(int argc, char **argv);   // text to token ids and back
int cmd_train(int argc, char **argv);      // a model learns a text
int cmd_vocab(int argc, char **argv);      // the vocabulary of a text
