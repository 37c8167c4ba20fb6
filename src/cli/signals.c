/* SPDX-License-Identifier: MIT */
/* signals.c - a program that is stopped from outside leaves nothing behind
 *
 * SIGINT, SIGTERM, SIGHUP: while the library works on something long (it reports progress, and may
 * be writing a file) the signal only sets a flag, the next report makes the library stop and tidy
 * up, and the program ends with 128 + signal; a network that runs is told at once. A second signal
 * ends it at once. At any other time the signal does what it does by default. Files that are not
 * complete are deleted either way.
 *
 * SIGBUS: a mapped file became shorter while it was read, so a page of it is gone. There is no way
 * on, but the person should be told which file; the library knows it by the address.
 *
 * SIGPIPE is put back to its default, since some parents ignore it: `wte ... | head` ends quietly.
 */
#include "cli.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught, waiting;
static wte_session *volatile session;

static void on_stop(int number)
{
    if (waiting && !caught) {
        caught = number;
        if (session)
            wte_session_cancel(session);
        return;
    }
    wte_delete_unfinished();
    signal(number, SIG_DFL);
    raise(number);
}

static void say(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));

    (void)n; /* the program ends anyway */
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const char *path = wte_mapped_path(info->si_addr);

    (void)context;
    wte_delete_unfinished();
    if (!path) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    say("wte: ");
    say(cli.command->name);
    say(": ");
    say(path);
    say(": shrank while it was being read\n");
    _exit(EXIT_FAILED);
}

void catch_signals(void)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;

    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_stop;
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        struct sigaction old;

        /* what the parent ignores (nohup) stays ignored */
        if (sigaction(stops[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(stops[i], &action, NULL);
    }
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
    signal(SIGPIPE, SIG_DFL);
}

void signals_wait(bool wait)
{
    waiting = wait;
}

int signals_end(int status)
{
    clear_progress();
    signals_wait(false);
    return status == 0 && caught ? 128 + caught : status;
}

void signals_session(wte_session *running)
{
    session = running;
}

int signals_caught(void)
{
    return caught;
}
