package tokens

import "testing"

// What nobody knows is held to be less sure than what is known.
func TestVocabulary(t *testing.T) {
	for _, tc := range []struct {
		model, name string
		margin      float64
	}{
		{"gpt-4o-mini", "o200k_base", 0.02},
		{"openai/gpt-3.5-turbo", "cl100k_base", 0.02},
		{"llama-3.1-8b", "cl100k_base", 0.05},
		{"claude-sonnet-4", "o200k_base", 0.15},
		{"", "o200k_base", 0.15},
	} {
		if name, margin := Vocabulary(tc.model); name != tc.name || margin != tc.margin {
			t.Errorf("Vocabulary(%q) = %s, %v, want %s, %v", tc.model, name, margin, tc.name, tc.margin)
		}
	}
}
