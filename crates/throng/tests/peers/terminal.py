"""A terminal, with a shell that runs one program in its foreground, and a user who does as told.

terminal.py STEPS PROGRAM ARGUMENT...

STEPS is a JSON array of steps, each an array:
  ["see", TEXT]     wait until the program has written TEXT, after what was seen before
  ["type", TEXT]    press keys
  ["signal", NAME]  send a signal to the program
  ["stopped"]       wait until the program has stopped
  ["continue"]      let it go on in the foreground
  ["background"]    let it go on in the background
  ["pause", S]      wait S seconds

Prints a JSON object: the exit code of the program (minus the signal, if one ended it), what was on the screen, and how the
terminal was after each step, and at the end: "lines" as a shell leaves it, "keys" where each key is passed on at once and
not shown, or "mixed".
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 30


def mode(fd):
    flags = termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO)
    return {0: "keys", termios.ICANON | termios.ECHO: "lines"}.get(flags, "mixed")


def shell(orders, events, words):
    """In the session of the terminal: runs the program, and says what becomes of it."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    program = os.fork()
    if program == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(words[0], words)
    try:
        os.setpgid(program, program)
    except PermissionError:
        pass  # It has done so itself.
    os.write(events, b"started %d\n" % program)
    while True:
        _, status = os.waitpid(program, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        if os.WIFSTOPPED(status):
            os.write(events, b"stopped 0\n")
            if os.read(orders, 1) == b"f":
                os.tcsetpgrp(0, program)
            os.kill(program, signal.SIGCONT)
            continue
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        os.write(events, b"ended %d\n" % code)
        # The terminal stays until the user has looked at it.
        os.read(orders, 1)
        os._exit(0)


class User:
    def __init__(self, words):
        orders, self.orders = os.pipe()
        self.events, events = os.pipe()
        child, self.terminal = pty.fork()
        if child == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
            shell(orders, events, words)
        self.screen, self.seen, self.told = b"", 0, b""

    def watch(self, until):
        """Collects what the program writes and the shell says, until `until` returns something."""
        give_up = time.monotonic() + PATIENCE
        while (found := until()) is None:
            if time.monotonic() > give_up:
                sys.exit("nothing came; the screen: " + self.screen.decode(errors="replace"))
            ready, _, _ = select.select([self.terminal, self.events], [], [], 0.1)
            if self.terminal in ready:
                self.screen += os.read(self.terminal, 65536)
            if self.events in ready:
                self.told += os.read(self.events, 4096)
        return found

    def event(self, name):
        def told():
            for line in self.told.decode().splitlines():
                if line.startswith(name + " "):
                    self.told = self.told.replace(line.encode() + b"\n", b"", 1)
                    return int(line.split()[1])
            return None

        return self.watch(told)

    def see(self, text):
        def found():
            at = self.screen.find(text, self.seen)
            return None if at < 0 else at + len(text)

        self.seen = self.watch(found)

    def pause(self, seconds):
        end = time.monotonic() + seconds
        self.watch(lambda: True if time.monotonic() >= end else None)


def main():
    steps, words = json.loads(sys.argv[1]), sys.argv[2:]
    user = User(words)
    program = user.event("started")
    modes = []
    for step, *of in steps:
        if step == "see":
            user.see(of[0].encode())
        elif step == "type":
            os.write(user.terminal, of[0].encode())
        elif step == "signal":
            os.kill(program, getattr(signal, "SIG" + of[0]))
        elif step == "stopped":
            user.event("stopped")
        elif step == "continue":
            os.write(user.orders, b"f")
        elif step == "background":
            os.write(user.orders, b"b")
        elif step == "pause":
            user.pause(of[0])
        else:
            sys.exit("no such step: " + step)
        modes.append(mode(user.terminal))
    code = user.event("ended")
    modes.append(mode(user.terminal))
    screen = user.screen.decode(errors="replace")
    print(json.dumps({"code": code, "modes": modes, "screen": screen}))
    os.write(user.orders, b"x")


main()
