// Package cli holds what the commands' flag parsing has in common. It imports nothing of the module.
package cli

import (
	"os"

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
