package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		child(os.Args[1:])
		return
	}
	self, err := os.Executable()
	fmt.Println("executable:", filepath.Base(self), err)

	// A child of the same system, and a Linux one; each with input, output, environment, directory, status.
	for _, argv := range [][]string{{self, "cat"}, {"/bin/cat"}} {
		c := exec.Command(argv[0], argv[1:]...)
		c.Stdin = strings.NewReader(strings.Repeat("line of text\n", 20000))
		out, err := c.Output()
		fmt.Println(len(out), err)
	}
	os.Mkdir("sub", 0755)
	for _, argv := range [][]string{{self, "env"}, {"/bin/sh", "-c", `echo "$PWD_IS_GIVEN $(basename $(pwd))"`}} {
		c := exec.Command(argv[0], argv[1:]...)
		c.Dir = "sub"
		c.Env = append(os.Environ(), "PWD_IS_GIVEN=yes")
		out, err := c.CombinedOutput()
		fmt.Printf("%s%v\n", out, err)
	}
	for _, argv := range [][]string{{self, "exit"}, {"/bin/sh", "-c", "exit 7"}, {self, "abort"}, {"/bin/sh", "-c", "kill -TERM $$"}} {
		err := exec.Command(argv[0], argv[1:]...).Run()
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			ws := ee.Sys().(syscall.WaitStatus)
			fmt.Println("ended:", ee.ExitCode(), ws.Signaled(), ee.ProcessState.Success())
		} else {
			fmt.Println(err)
		}
	}
	// A pipeline across systems: Solaris to Linux to Solaris.
	a, b, c := exec.Command(self, "count"), exec.Command("/usr/bin/sort", "-rn"), exec.Command(self, "first")
	b.Stdin, _ = a.StdoutPipe()
	c.Stdin, _ = b.StdoutPipe()
	var last bytes.Buffer
	c.Stdout = &last
	for _, p := range []*exec.Cmd{c, b, a} {
		if err := p.Start(); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(a.Wait(), b.Wait(), c.Wait(), strings.TrimSpace(last.String()))
	// Descriptors that are handed on; a child that is killed; a program that does not exist.
	r, w, _ := os.Pipe()
	d := exec.Command(self, "fd3")
	d.ExtraFiles = []*os.File{w}
	fmt.Println(d.Run())
	w.Close()
	got, _ := io.ReadAll(r)
	fmt.Printf("%q\n", got)
	k := exec.Command("/bin/sleep", "100")
	k.Start()
	k.Process.Kill()
	fmt.Println(k.Wait())
	_, err = exec.LookPath("no-such-program-here")
	fmt.Println(err)
	fmt.Println(errors.Is(exec.Command("./no-such-program").Run(), os.ErrNotExist))
}

func child(args []string) {
	switch args[0] {
	case "cat":
		io.Copy(os.Stdout, os.Stdin)
	case "env":
		d, _ := os.Getwd()
		fmt.Println(os.Getenv("PWD_IS_GIVEN"), filepath.Base(d))
	case "exit":
		os.Exit(7)
	case "abort":
		p, _ := os.FindProcess(os.Getpid())
		p.Signal(syscall.SIGTERM)
		select {}
	case "count":
		for i := 0; i < 100; i++ {
			fmt.Println(i)
		}
	case "first":
		b, _ := io.ReadAll(os.Stdin)
		fmt.Println(strings.SplitN(string(b), "\n", 2)[0])
	case "fd3":
		os.NewFile(3, "three").Write([]byte("through descriptor 3"))
	}
}
