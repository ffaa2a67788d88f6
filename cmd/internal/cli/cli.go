// Package cli holds what the commands' flag parsing has in common. It imports nothing of the module.
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

// Command is what a command does with its flags, until it ends or ctx does.
type Command interface {
	Run(ctx context.Context) error
}

// Main parses the command line into c, a pointer to its flags, and runs it; Ctrl-C and SIGTERM end its context. An error is
// one line on stderr and exit code 1, without the line where it is silent: it has been told already.
func Main(c Command, name, description string, vars kong.Vars, silent error) {
	kong.Parse(c, kong.Name(name), ExitCodes(), kong.Description(description), vars)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.Run(ctx)
	stop()
	if err == nil {
		return
	}
	if silent == nil || !errors.Is(err, silent) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	}
	os.Exit(1)
}
