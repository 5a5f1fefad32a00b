// commands.h - the subcommands; each takes its own argv (argv[0] is its name) and returns an exit
// code: 0 ok, 1 failed, 2 usage or bad input.
#pragma once

int cmd_attend(int argc, char **argv);
int cmd_cell(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_params(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
