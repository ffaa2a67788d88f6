// Package cli holds what the commands' flag parsing has in common. With it a command is parsed, interrupted and profiled.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// kongUsage is the exit code that kong gives a mistaken command line.
const kongUsage = 80

// ExitCodes makes a mistaken command line exit with 2, as Unix commands do; failures of the work itself exit with 1.
func ExitCodes() kong.Option {
	return kong.Exit(func(code int) {
		if code == kongUsage {
			code = 2
		}
		os.Exit(code)
	})
}

// Command is what a command does with its flags, until it ends or ctx does. The flags embed Profiles.
type Command interface {
	Run(ctx context.Context) error
	profiles() Profiles
}

// Main parses the command line into c, a pointer to its flags, and runs it; Ctrl-C and SIGTERM end its context. An error is
// one line on stderr and exit code 1, without the line where it is silent: it has been told already.
func Main(c Command, name, description string, vars kong.Vars, silent error) {
	kong.Parse(c, kong.Name(name), ExitCodes(), kong.Description(description), vars)
	if !do(c, name, silent) {
		os.Exit(1)
	}
}

// do does the work under the profilers and reports whether all went well.
func do(c Command, name string, silent error) (ok bool) {
	failed := func(err error) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	}
	write, err := c.profiles().start()
	if err != nil {
		failed(err)
		return false
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = c.Run(ctx)
	unwritten := write()
	stop() // a second Ctrl-C does not cost the profile
	if unwritten != nil {
		failed(unwritten)
	}
	if err != nil && (silent == nil || !errors.Is(err, silent)) {
		failed(err)
	}
	return err == nil && unwritten == nil
}
