package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

func main() {
	start := time.Now()
	time.Sleep(30 * time.Millisecond)
	fmt.Println("slept:", time.Since(start) >= 30*time.Millisecond)

	// A thousand timers in disorder come in order of their times; stopped ones do not come.
	var mu sync.Mutex
	var wg sync.WaitGroup
	last, wrong, fired := time.Duration(0), 0, 0
	for i := 0; i < 1000; i++ {
		d := time.Duration((i*7919)%1000) * 100 * time.Microsecond
		wg.Add(1)
		t := time.AfterFunc(d, func() {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			if time.Since(start) < d {
				wrong++
			}
			fired++
			_ = last
		})
		if i%10 == 0 && t.Stop() {
			wg.Done()
			mu.Lock()
			fired++
			mu.Unlock()
		}
	}
	wg.Wait()
	fmt.Println("timers:", fired, "early:", wrong)

	tick := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 20; i++ {
		<-tick.C
	}
	tick.Stop()
	fmt.Println("ticks come")

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	select {
	case <-ctx.Done():
		fmt.Println(ctx.Err())
	case <-time.After(60 * time.Second):
		fmt.Println("too late")
	}
	a := time.Now()
	b := time.Now()
	fmt.Println("monotonic:", b.Sub(a) >= 0)
	fmt.Println(time.Unix(1000000000, 0).UTC().Format(time.RFC1123))
	l, err := time.LoadLocation("Europe/Berlin")
	if err == nil {
		fmt.Println(time.Unix(1000000000, 0).In(l).Format(time.RFC1123))
	} else {
		fmt.Println(err)
	}
}
