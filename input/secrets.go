package input

import (
	"slices"
	"strings"
)

// secretEnds are what names end with whose values open something.
var secretEnds = []string{"apikey", "secretkey", "accesskey", "privatekey", "authtoken", "accesstoken", "bearertoken", "password", "passwd", "secret", "authorization", "credentials"}

// looksSecret goes by the name alone, in any spelling: api_key, X-API-Key, openaiApiKey.
func looksSecret(name string) bool {
	if len(name) > 100 {
		return false
	}
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-. ", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
	return slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}

const maxSecrets = 5

// suspect notes the name of a key that looks as if it stood in the file by mistake.
func (r *Reader) suspect(name string) {
	if len(r.secrets) < maxSecrets && looksSecret(name) && !slices.Contains(r.secrets, name) {
		r.secrets = append(r.secrets, name)
	}
}
