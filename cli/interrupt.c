#include "interrupt.h"

#include "command.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum { PATIENCE = 3 }; /* Ctrl-C without a reaction, until the program ends */

static void (*volatile stop_function)(void);
static volatile sig_atomic_t interrupts;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupts = interrupts + 1;
    void (*stop)(void) = stop_function;
    if (stop == NULL || interrupts >= PATIENCE) {
        /* A spinner may stand in the line, and the shell's prompt should begin a new one. */
        if (isatty(STDERR_FILENO)) {
            ssize_t ignored = write(STDERR_FILENO, "\n", 1);
            (void)ignored;
        }
        we_foreground_leave();
        _exit(WE_EXIT_INTERRUPTED);
    }
    stop();
}

void we_interrupt_open(void)
{
    struct sigaction old;
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return; /* nohup, or a background job of a script: it stays ignored */
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* no SA_RESTART: a read of the terminal must return */
}

void we_interrupt_handle(void (*stop)(void))
{
    interrupts = 0;
    stop_function = stop;
}

bool we_interrupted(void)
{
    return interrupts > 0;
}

void we_interrupt_clear(void)
{
    interrupts = 0;
}

/* ---- the foreground ---- */

static volatile sig_atomic_t in_foreground;
static pid_t original_group;

void we_foreground_enter(void)
{
    pid_t group = getpgrp();
    if (group == getpid() || tcgetpgrp(STDIN_FILENO) != group)
        return;
    signal(SIGTTOU, SIG_IGN); /* or handing the terminal over would stop us */
    signal(SIGTSTP, SIG_IGN); /* Ctrl-Z would stop us, and nobody would wake us */
    if (setpgid(0, 0) != 0)
        return;
    original_group = group;
    if (tcsetpgrp(STDIN_FILENO, getpid()) == 0)
        in_foreground = 1;
    else
        setpgid(0, group);
}

void we_foreground_leave(void)
{
    if (!in_foreground)
        return;
    in_foreground = 0;
    tcsetpgrp(STDIN_FILENO, original_group);
    setpgid(0, original_group);
}
