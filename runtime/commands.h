/* Subcommands: each gets the words after its name and returns the exit status. */
#ifndef SUNDOG_RUNTIME_COMMANDS_H
#define SUNDOG_RUNTIME_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_syscalls(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_learn(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_commit(int argc, char **argv);
int cmd_discard(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_why(int argc, char **argv);

#endif
