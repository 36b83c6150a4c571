// Command parley is a whole conferencing server in one process. This file is its table of contents: each sub-command has
// a file of its name.
package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Serve    serveCmd    `cmd:"" help:"Run the server."`
	Bridge   bridgeCmd   `cmd:"" help:"Carry media for a server that runs with the same data folder, which starts it by itself."`
	User     userCmd     `cmd:"" help:"Accounts: add, passwd, del, list, disable, enable."`
	Import   importCmd   `cmd:"" help:"Take over accounts and rooms of another server: prosody, ejabberd."`
	App      appCmd      `cmd:"" help:"Applications that use the API: add, list, remove, key."`
	Token    tokenCmd    `cmd:"" help:"Tokens (JWT) that open a room: make, explain."`
	Report   reportCmd   `cmd:"" help:"Print or mail the report of a day: calls, how long, how well, what failed."`
	IceAgent iceAgentCmd `cmd:"" help:"Beside a STUN and TURN server of others: register it with a server, and report its load."`
	Drain    drainCmd    `cmd:"" help:"Have load balancers send no new rooms to the server that runs, before it is stopped."`
	Geomap   geomapCmd   `cmd:"" help:"Print a map from networks to regions for HAProxy."`
	Doctor   doctorCmd   `cmd:"" help:"Look for what keeps the server from running well."`
	Config   configCmd   `cmd:"" help:"Check a configuration, or print the reference."`
	Bench    benchCmd    `cmd:"" help:"Measure servers."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// common are the flags that say which server is meant.
type common struct {
	Config string `help:"Configuration file (TOML)." short:"c" placeholder:"FILE" type:"path"`
	Data   string `help:"Folder that holds the server's state." default:"./parley-data" placeholder:"DIR" type:"path"`
}

func main() {
	syscall.Umask(0o077) // whatever a command writes is for its user: keys, databases, sockets
	var cli commands
	ctx := kong.Parse(&cli, kong.Name("parley"), kong.UsageOnError(),
		kong.Description("A conferencing server: XMPP, rooms, calls, TURN and a web page in one process. Without configuration it serves this machine only."))
	if err := ctx.Run(); err != nil {
		if !errors.Is(err, errTold) {
			fmt.Fprintln(os.Stderr, "parley:", err)
		}
		os.Exit(1)
	}
}
