// Source of the expectation: the same program built for Linux, run natively (as for all programs here).
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

func main() {
	fmt.Println("hello", len(os.Args), os.Args[1:])
	fmt.Fprintln(os.Stderr, "to the other stream")

	// Goroutines over all processors: each spins until all have been seen running at one time.
	n := runtime.NumCPU()
	fmt.Println("processors as natively:", n == runtime.GOMAXPROCS(0))
	var running int32
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread()
			atomic.AddInt32(&running, 1)
			for atomic.LoadInt32(&running) < int32(n) {
			}
		}()
	}
	wg.Wait()
	fmt.Println("all ran at once")

	// Many goroutines, much memory, several collections.
	sums := make(chan int, 64)
	for i := 0; i < 1000; i++ {
		go func(i int) {
			b := make([]int, 10000)
			for k := range b {
				b[k] = i
			}
			s := 0
			for _, v := range b {
				s += v
			}
			sums <- s
		}(i)
	}
	total := 0
	for i := 0; i < 1000; i++ {
		total += <-sums
		if i%200 == 0 {
			runtime.GC()
		}
	}
	fmt.Println("sum", total)

	defer func() {
		fmt.Println("recovered:", recover())
		os.Exit(3)
	}()
	var p *int
	*p = 1
}
