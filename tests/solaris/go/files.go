package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
	}
}

func main() {
	// A tree of 400 files, walked in both ways, read back, renamed, removed.
	for i := 0; i < 400; i++ {
		d := filepath.Join("tree", fmt.Sprint(i%7), fmt.Sprint(i%5))
		check(os.MkdirAll(d, 0755))
		check(os.WriteFile(filepath.Join(d, fmt.Sprintf("f%d", i)), []byte(strings.Repeat(fmt.Sprintln(i), i)), 0644))
	}
	check(os.Symlink("../1", "tree/0/link"))
	var names []string
	h := sha256.New()
	check(filepath.WalkDir("tree", func(p string, d fs.DirEntry, err error) error {
		names = append(names, p+":"+d.Type().String())
		if d.Type().IsRegular() {
			b, _ := os.ReadFile(p)
			h.Write(b)
		}
		return err
	}))
	sort.Strings(names)
	fmt.Println(len(names), names[0], names[len(names)-1])
	fmt.Printf("%x\n", h.Sum(nil))
	size := int64(0)
	check(filepath.Walk("tree", func(p string, i fs.FileInfo, err error) error {
		if i.Mode().IsRegular() {
			size += i.Size()
		}
		return err
	}))
	fmt.Println(size)
	g, _ := filepath.Glob("tree/*/3/f1?3")
	fmt.Println(g)
	r, err := filepath.EvalSymlinks("tree/0/link")
	fmt.Println(r, err)

	// Permissions, times, truncation, seeking, appending, locking out.
	check(os.Chmod("tree/1/1/f1", 0400))
	st, _ := os.Stat("tree/1/1/f1")
	fmt.Println(st.Mode())
	when := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	check(os.Chtimes("tree/1/1/f1", when, when))
	st, _ = os.Stat("tree/1/1/f1")
	fmt.Println(st.ModTime().UTC())
	f, err := os.OpenFile("data", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0600)
	check(err)
	check(f.Truncate(1 << 20))
	_, err = f.WriteAt([]byte("end"), 1<<20-3)
	check(err)
	n, _ := f.Seek(-3, 2)
	b := make([]byte, 3)
	f.Read(b)
	fmt.Println(n, string(b))
	check(f.Sync())
	check(f.Close())
	f, _ = os.OpenFile("data", os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString("appended")
	st, _ = f.Stat()
	fmt.Println(st.Size())
	f.Close()
	_, err = os.OpenFile("data", os.O_CREATE|os.O_EXCL, 0600)
	fmt.Println(errors.Is(err, fs.ErrExist))
	_, err = os.Open("absent")
	fmt.Println(errors.Is(err, fs.ErrNotExist), err)
	fmt.Println(errors.Is(os.Remove("tree"), fs.ErrExist) || os.Remove("tree") != nil)
	check(os.Rename("tree", "moved"))
	ents, _ := os.ReadDir("moved")
	fmt.Println(len(ents), ents[0].Name())
	check(os.Link("data", "hard"))
	a, _ := os.Stat("data")
	c, _ := os.Stat("hard")
	fmt.Println(os.SameFile(a, c))
	check(os.RemoveAll("moved"))
	_, err = os.Lstat("moved")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	t, err := os.CreateTemp(".", "t*.x")
	check(err)
	w := bufio.NewWriter(t)
	for i := 0; i < 50000; i++ {
		fmt.Fprintln(w, i)
	}
	w.Flush()
	t.Seek(0, 0)
	lines := 0
	for s := bufio.NewScanner(t); s.Scan(); {
		lines++
	}
	fmt.Println(lines)
}
