// puddle is the pool inside pgxpool: Acquire and Release, without what pgxpool adds on top. Argument: seconds. Prints
// `puddle <version> <ns per cycle>`.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"strconv"
	"time"

	"github.com/jackc/puddle/v2"
)

type connection struct{ number int }

var sink int

func cycles(pool *puddle.Pool[*connection], n int) time.Duration {
	ctx := context.Background()
	began := time.Now()
	for i := 0; i < n; i++ {
		lease, err := pool.Acquire(ctx)
		if err != nil {
			panic(err)
		}
		sink += lease.Value().number
		lease.Release()
	}
	return time.Since(began)
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/jackc/puddle/v2" {
				return module.Version
			}
		}
	}
	return "unknown"
}

func main() {
	seconds := 1.0
	if len(os.Args) > 1 {
		seconds, _ = strconv.ParseFloat(os.Args[1], 64)
	}
	pool, err := puddle.NewPool(&puddle.Config[*connection]{
		Constructor: func(context.Context) (*connection, error) { return &connection{1}, nil },
		Destructor:  func(*connection) {},
		MaxSize:     8,
	})
	if err != nil {
		panic(err)
	}
	const batch = 100_000
	cycles(pool, batch)
	var all []float64
	for end := time.Now().Add(time.Duration(seconds * float64(time.Second))); len(all) < 5 || time.Now().Before(end); {
		all = append(all, float64(cycles(pool, batch).Nanoseconds())/batch)
	}
	sort.Float64s(all)
	fmt.Printf("puddle %s %.2f\n", version(), all[len(all)/2])
}
