package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func completionCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell",
		ArgsUsage: "bash | zsh | fish",
		Description: `    source <(batch completion bash)          # in ~/.bashrc
    source <(batch completion zsh)           # in ~/.zshrc, after compinit
    batch completion fish | source           # in config.fish`,
		Action: func(ctx *cli.Context) error {
			switch shell := ctx.Args().First(); shell {
			case "bash":
				fmt.Fprint(c.stdout, bashCompletion)
			case "zsh":
				fmt.Fprint(c.stdout, zshCompletion)
			case "fish":
				script, err := ctx.App.ToFishCompletion()
				if err != nil {
					return err
				}
				fmt.Fprint(c.stdout, script)
			default:
				return usage(fmt.Errorf("%q is no shell that is known here", printable(shell)), "batch completion bash, zsh or fish")
			}
			return nil
		},
	}
}

// The library answers --generate-bash-completion with the words that may follow, one a line; file names are the shell's.
const bashCompletion = `_batch() {
  local current="${COMP_WORDS[COMP_CWORD]}" words
  words=$("${COMP_WORDS[@]:0:COMP_CWORD}" "$current" --generate-bash-completion 2>/dev/null)
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _batch batch
`

const zshCompletion = `_batch() {
  local -a found
  found=("${(@f)$("${(@)words[1,CURRENT-1]}" "${words[CURRENT]}" --generate-bash-completion 2>/dev/null)}")
  compadd -a found
  _files
}
compdef _batch batch
`
