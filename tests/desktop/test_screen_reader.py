"""The built program as a screen reader has it: found by names on the accessibility bus, driven by its actions, stopped by a signal. It must
print nothing. Usage, under under_display.sh with GTK_A11Y=atspi: test_screen_reader.py PROGRAM"""
import os
import signal
import subprocess
import sys
import tempfile
import time

try:
    import gi
    gi.require_version("Atspi", "2.0")
    from gi.repository import Atspi
except (ImportError, ValueError) as error:
    print(f"skipped: {error}; scripts/install-dependencies.sh test installs what is missing")
    sys.exit(77)

PROGRAM = os.path.abspath(sys.argv[1])
PATIENCE = 120  # seconds


def walk(node):
    yield node
    for i in range(node.get_child_count()):
        child = node.get_child_at_index(i)
        if child:
            yield from walk(child)


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            found = condition()
        except Exception:  # what is being looked at vanishes now and then
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"it did not happen within {PATIENCE} seconds: {what}")


def application():
    desktop = Atspi.get_desktop(0)
    for i in range(desktop.get_child_count()):
        child = desktop.get_child_at_index(i)
        if child and child.get_name() == "whisperengine-desktop":
            return child
    return None


def find(root, role, name):
    return next((n for n in walk(root) if n.get_role() == role and n.get_name() == name), None)


def main():
    with tempfile.TemporaryDirectory() as home:
        model = os.environ.get("WE_TEST_MODEL")
        environment = dict(os.environ, HOME=home, XDG_CONFIG_HOME=home + "/config", XDG_DATA_HOME=home + "/data",
                           XDG_CACHE_HOME=home + "/cache", XDG_STATE_HOME=home + "/state", HF_HOME=home + "/hub", MLX_MAX_TOKENS="12")
        if model:
            environment["LLM_CHAT_API_URL"] = model
        with open(home + "/output", "wb") as output:
            program = subprocess.Popen([PROGRAM], cwd=home, env=environment, stdout=output, stderr=output)
        try:
            window = wait_for("the program is on the bus", application)
            for name in ("New chat", "Search", "Main menu"):
                wait_for(f"the button {name}", lambda: [n for n in walk(window) if n.get_name() == name])
            # Whatever can be pressed has a name.
            pressable = {Atspi.Role.PUSH_BUTTON, Atspi.Role.TOGGLE_BUTTON, Atspi.Role.CHECK_BOX, Atspi.Role.COMBO_BOX}
            nameless = [n.get_role_name() for n in walk(window) if n.get_role() in pressable and not n.get_name()
                        and n.get_state_set().contains(Atspi.StateType.SHOWING)
                        and n.parent.get_role() not in pressable and not n.parent.get_name()]
            assert not nameless, nameless
            if model:
                text = wait_for("the composer", lambda: next((n for n in walk(window) if n.get_name() == "Message"), None))
                wait_for("the text", lambda: Atspi.EditableText.insert_text(text, 0, "Hello", 5))
                button = wait_for("the button Send", lambda: find(window, Atspi.Role.PUSH_BUTTON, "Send"))
                wait_for("a model that can answer", lambda: button.get_state_set().contains(Atspi.StateType.SENSITIVE))
                button.do_action(0)
                wait_for("a reply", lambda: find(window, Atspi.Role.PUSH_BUTTON, "Regenerate"))
        finally:
            program.send_signal(signal.SIGTERM)
            status = program.wait(PATIENCE)
        with open(home + "/output", errors="replace") as output:
            printed = output.read()
        assert printed == "", printed
        assert status == 0, status
        print("driven by names, and silent")


main()
