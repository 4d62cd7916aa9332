package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// Each signal arrives once, under its name.
	c := make(chan os.Signal, 8)
	sigs := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGCHLD}
	signal.Notify(c, sigs...)
	me, _ := os.FindProcess(os.Getpid())
	for _, s := range sigs {
		me.Signal(s)
		select {
		case got := <-c:
			fmt.Println(got == s)
		case <-time.After(20 * time.Second):
			fmt.Println("lost", s)
		}
	}
	signal.Stop(c)

	// From a Linux process.
	signal.Notify(c, syscall.SIGUSR1)
	exec.Command("/bin/sh", "-c", fmt.Sprintf("kill -USR1 %d", os.Getpid())).Run()
	fmt.Println(<-c == syscall.SIGUSR1)

	// Ignored; and back.
	signal.Ignore(syscall.SIGTERM)
	me.Signal(syscall.SIGTERM)
	time.Sleep(50 * time.Millisecond)
	fmt.Println("ignored:", signal.Ignored(syscall.SIGTERM))
	signal.Reset(syscall.SIGTERM)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP)
	me.Signal(syscall.SIGHUP)
	<-ctx.Done()
	stop()
	fmt.Println(ctx.Err())

	// Signals while goroutines compute and sleep in system calls: none is lost, nobody is disturbed.
	signal.Notify(c, syscall.SIGUSR2)
	stopped := make(chan bool)
	go func() {
		x := uint64(1)
		for {
			select {
			case <-stopped:
				return
			default:
				for i := 0; i < 1000; i++ {
					x = x*6364136223846793005 + 1
				}
			}
		}
	}()
	n := 0
	for i := 0; i < 200; i++ {
		me.Signal(syscall.SIGUSR2)
		<-c
		n++
	}
	close(stopped)
	fmt.Println("came:", n)
}
