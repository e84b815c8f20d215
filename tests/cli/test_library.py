"""The library as a program outside this tree uses it: headers, what is installed, the example."""
import os
import re
import shutil
import subprocess
import unittest

from support import Case, LLAMA, PATIENCE, main

ROOT = os.environ["SOURCE_ROOT"]
BUILD = os.environ["BUILD_ROOT"]
STREAM = os.environ["STREAM"]
SANITIZED = os.environ["SANITIZED"] == "yes"
MESON = shutil.which("meson")
CC = shutil.which("cc")
CXX = shutil.which("c++")
HEADERS = ["whisperengine.h", "whisperengine_tools.h"]
USE = "#include <%s>\nint main(void)\n{\n    struct we_error error;\n    error.status = WE_OK;\n    return (int)error.status;\n}\n"


class Library(Case):
    def call(self, *argv, env={}, cwd=None):
        done = subprocess.run(argv, cwd=cwd or self.folder, env={**self.environment, **env}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, (argv, done.stdout, done.stderr))
        return done.stdout.decode("utf-8", "replace")

    def check_stream(self, program, env={}):
        self.assertRegex(self.call(program, LLAMA, "hello", env=env), r"(?s)^.+\n$")
        done = subprocess.run([program, "org/none", "hello"], cwd=self.folder, env={**self.environment, **env}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"org/none", done.stderr)
        self.assertEqual(subprocess.run([program], env={**self.environment, **env}, stderr=subprocess.DEVNULL).returncode, 2)

    def test_example(self):
        self.check_stream(STREAM)

    def check_headers(self, compiler, name, standards):
        for header in HEADERS:
            with open(self.path(name), "w") as f:
                f.write(USE % header)
            for standard in standards:
                self.call(compiler, "-std=" + standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", os.path.join(ROOT, "include"),
                          "-fsyntax-only", name)

    @unittest.skipUnless(CC, "there is no cc")
    def test_headers_in_c(self):
        self.check_headers(CC, "use.c", ["c99", "c11", "c17"])

    @unittest.skipUnless(CXX, "there is no c++")
    def test_headers_in_cxx(self):
        self.check_headers(CXX, "use.cc", ["c++11", "c++17"])

    @unittest.skipIf(SANITIZED, "a program linked to a sanitized library needs the sanitizer")
    @unittest.skipUnless(MESON and CC and shutil.which("pkg-config"), "there is no meson, cc or pkg-config")
    def test_installed(self):
        self.call(MESON, "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", self.folder)
        (pc,) = [os.path.join(d, f) for d, _, files in os.walk(self.folder) for f in files if f == "whisperengine.pc"]
        libdir = os.path.dirname(os.path.dirname(pc))
        with open(pc) as f:
            prefix = self.folder + re.search("(?m)^prefix=(.*)$", f.read()).group(1)
        env = {"PKG_CONFIG_PATH": os.path.dirname(pc)}

        def flags(*what):
            return self.call("pkg-config", "--define-variable=prefix=" + prefix, *what, "whisperengine", env=env).split()
        source = os.path.join(ROOT, "examples", "stream.c")
        self.assertEqual(flags("--modversion")[0], self.call(os.path.join(prefix, "bin", "whisperengine"), "--version").split()[1])

        # Shared: the program needs nothing but this library.
        self.call(CC, source, "-o", "shared", *flags("--cflags", "--libs"))
        self.assertNotIn("pcre2", self.call("readelf", "-d", "shared") if shutil.which("readelf") else "")
        self.check_stream(self.path("shared"), {"LD_LIBRARY_PATH": libdir})

        # Static.
        libs = [":libwhisperengine.a".join(["-l", ""]) if flag == "-lwhisperengine" else flag for flag in flags("--static", "--libs")]
        self.call(CC, source, "-o", "static", *flags("--cflags"), *libs)
        self.check_stream(self.path("static"))

        if CXX:
            shutil.copy(source, self.path("stream.cc"))
            self.call(CXX, "-Wall", "-Wextra", "-pedantic", "-Werror", "stream.cc", "-o", "plus", *flags("--cflags", "--libs"))
            self.check_stream(self.path("plus"), {"LD_LIBRARY_PATH": libdir})

        # What the library shows is what the headers declare.
        if shutil.which("nm"):
            declared = set()
            for header in HEADERS:
                with open(os.path.join(prefix, "include", header)) as f:
                    declared.update(re.findall(r"WE_API[^;]*?\b(we_\w+)\(", f.read()))
            symbols = self.call("nm", "-D", "--defined-only", os.path.join(libdir, "libwhisperengine.so"))
            shown = {line.split()[-1] for line in symbols.splitlines()}
            self.assertTrue(len(declared) > 30)
            self.assertEqual(shown, declared)


if __name__ == "__main__":
    main()
