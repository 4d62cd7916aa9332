package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	var conns int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %d %s", r.Method, r.URL.Path, len(b), strings.Repeat("x", 10000))
		}),
		ConnState: func(c net.Conn, s http.ConnState) {
			if s == http.StateNew {
				atomic.AddInt32(&conns, 1)
			}
		},
	}
	go srv.Serve(l)
	url := "http://" + l.Addr().String()

	// Keep-alive: twenty requests, one connection.
	one := &http.Client{Transport: &http.Transport{}}
	for i := 0; i < 20; i++ {
		get(one, fmt.Sprintf("%s/k%d", url, i))
	}
	fmt.Println("connections for 20 requests:", atomic.LoadInt32(&conns))

	// A hundred connections at once: all are open before the first asks.
	atomic.StoreInt32(&conns, 0)
	var open, done sync.WaitGroup
	var bad int32
	for i := 0; i < 100; i++ {
		open.Add(1)
		done.Add(1)
		go func(i int) {
			defer done.Done()
			c, err := net.Dial("tcp", l.Addr().String())
			open.Done()
			if err != nil {
				atomic.AddInt32(&bad, 1)
				return
			}
			defer c.Close()
			open.Wait()
			in := bufio.NewReader(c)
			for k := 0; k < 5; k++ {
				fmt.Fprintf(c, "POST /c%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde", i)
				want := fmt.Sprintf("POST /c%d 5 ", i)
				r, err := http.ReadResponse(in, nil)
				if err != nil {
					atomic.AddInt32(&bad, 1)
					return
				}
				b, _ := io.ReadAll(r.Body)
				if !strings.HasPrefix(string(b), want) || len(b) != len(want)+10000 {
					atomic.AddInt32(&bad, 1)
				}
			}
		}(i)
	}
	done.Wait()
	fmt.Println("connections at once:", atomic.LoadInt32(&conns), "bad:", bad)

	// A timeout of the client, an address in use, a refused connection, UDP, a name.
	slow, _ := net.Listen("tcp", "127.0.0.1:0")
	_, err = (&http.Client{Timeout: 50 * time.Millisecond}).Get("http://" + slow.Addr().String())
	e, ok := err.(net.Error)
	fmt.Println("timeout:", ok && e.Timeout())
	_, err = net.Listen("tcp", l.Addr().String())
	fmt.Println("in use:", err != nil && strings.Contains(err.Error(), "in use"))
	addr := slow.Addr().String()
	slow.Close()
	_, err = net.Dial("tcp", addr)
	fmt.Println("refused:", err != nil && strings.Contains(err.Error(), "refused"))
	u, _ := net.ListenPacket("udp", "127.0.0.1:0")
	uc, _ := net.Dial("udp", u.LocalAddr().String())
	uc.Write([]byte("datagram"))
	b := make([]byte, 100)
	n, from, _ := u.ReadFrom(b)
	fmt.Println(string(b[:n]), from.String() == uc.LocalAddr().String())
	names, err := net.LookupHost("localhost")
	fmt.Println("localhost:", len(names) > 0, err)
	srv.Close()
}

func get(c *http.Client, url string) {
	r, err := c.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	if r.StatusCode != 200 || len(b) < 10000 {
		fmt.Println("wrong answer", r.Status, len(b))
	}
}
