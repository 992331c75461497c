package runner

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"batch/runner/chat"
	"batch/runner/tokens"
)

// usd is a dollar for a million tokens, in picodollars a token.
const usd = 1_000_000

// price is the input, output and cached price of most models; what is written to a cache costs what is read, and thought
// what is said.
func price(input, output, cached tokens.Money) tokens.Rates {
	return tokens.Rates{Input: input, Output: output, Cached: cached, CacheWrite: input, Reasoning: output}
}

var (
	gpt4o    = price(2.5*usd, 10*usd, 1.25*usd)
	mini     = price(0.15*usd, 0.6*usd, 0.075*usd)
	grok     = price(1.25*usd, 2.5*usd, 0.2*usd)
	deepseek = price(0.27*usd, 1.1*usd, 0.07*usd)
	kimi     = price(0.6*usd, 3*usd, 0.1*usd)
	gemini   = price(0.3*usd, 2.5*usd, 0.03*usd)
	llama    = price(0.05*usd, 0.08*usd, 0.05*usd)
	claude   = tokens.Rates{Input: 3 * usd, Output: 15 * usd, Cached: 0.3 * usd, CacheWrite: 3.75 * usd, Reasoning: 15 * usd}
	qwen     = tokens.Rates{Input: 0.4 * usd, Output: 1.2 * usd, Cached: 0.04 * usd, CacheWrite: 0.5 * usd, Reasoning: 4 * usd}
	research = tokens.Rates{Input: 2 * usd, Output: 8 * usd, Cached: 2 * usd, CacheWrite: 2 * usd, Reasoning: 3 * usd}
	free     = tokens.Rates{}
)

const unknown = -1

// What providers report for a call, and what it then costs, worked out by hand: tokens of a kind x the rate of that kind.
var usageBodies = []struct {
	from  string
	usage string
	rates tokens.Rates
	cost  tokens.Money
}{
	{"OpenAI, plain", `{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
		gpt4o, 19*2.5*usd + 10*10*usd},
	{"OpenAI, cached", `{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920},"completion_tokens_details":{"reasoning_tokens":0}}`,
		gpt4o, 86*2.5*usd + 1920*1.25*usd + 300*10*usd},
	{"OpenAI, thought within the completion", `{"prompt_tokens":75,"completion_tokens":1186,"total_tokens":1261,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":1024}}`,
		gpt4o, 75*2.5*usd + 1186*10*usd},
	{"OpenAI, a cache that is paid for writing", `{"prompt_tokens":30000,"completion_tokens":50,"total_tokens":30050,"prompt_tokens_details":{"cached_tokens":20000,"cache_write_tokens":9000}}`,
		tokens.Rates{Input: 4 * usd, Output: 20 * usd, Cached: 0.4 * usd, CacheWrite: 5 * usd, Reasoning: 20 * usd}, 1000*4*usd + 20000*0.4*usd + 9000*5*usd + 50*20*usd},
	{"OpenAI, predictions that were refused are in the completion", `{"prompt_tokens":100,"completion_tokens":90,"total_tokens":190,"completion_tokens_details":{"accepted_prediction_tokens":40,"rejected_prediction_tokens":30}}`,
		mini, 100*0.15*usd + 90*0.6*usd},
	{"OpenAI, sound in", `{"prompt_tokens":120,"completion_tokens":10,"total_tokens":130,"prompt_tokens_details":{"audio_tokens":100,"text_tokens":20}}`,
		gpt4o, unknown},
	{"OpenAI, sound out", `{"prompt_tokens":20,"completion_tokens":110,"total_tokens":130,"completion_tokens_details":{"audio_tokens":90,"text_tokens":20}}`,
		gpt4o, unknown},
	{"OpenAI, details null", `{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":null,"completion_tokens_details":null}`,
		mini, 19*0.15*usd + 10*0.6*usd},
	{"Azure, all of the prompt cached", `{"completion_tokens":5,"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":0,"rejected_prediction_tokens":0},"prompt_tokens":1408,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":1408},"total_tokens":1413}`,
		gpt4o, 1408*1.25*usd + 5*10*usd},
	{"Azure, an answer that a filter took", `{"prompt_tokens":31,"completion_tokens":0,"total_tokens":31}`,
		gpt4o, 31 * 2.5 * usd},
	{"DeepSeek, hits and misses", `{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"prompt_cache_hit_tokens":640,"prompt_cache_miss_tokens":360}`,
		deepseek, 360*0.27*usd + 640*0.07*usd + 200*1.1*usd},
	{"DeepSeek, hits said twice", `{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"prompt_tokens_details":{"cached_tokens":640},"prompt_cache_hit_tokens":640,"prompt_cache_miss_tokens":360,"completion_tokens_details":{"reasoning_tokens":150}}`,
		deepseek, 360*0.27*usd + 640*0.07*usd + 200*1.1*usd},
	{"Moonshot, cached beside the counts", `{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10}`,
		kimi, 9*0.6*usd + 10*0.1*usd + 21*3*usd},
	{"Moonshot, cached in both spellings", `{"prompt_tokens":2989,"completion_tokens":8,"total_tokens":2997,"cached_tokens":2989,"prompt_tokens_details":{"cached_tokens":2989}}`,
		kimi, 2989*0.1*usd + 8*3*usd},
	{"xAI, thought beside the completion", `{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":2809},"cost_in_usd_ticks":232856000}`,
		grok, 23_285_600_000}, // what xAI says of it: 232,856,000 ticks of 10^-10 dollars
	{"xAI, much thought, one word", `{"prompt_tokens":12,"completion_tokens":1,"total_tokens":399,"prompt_tokens_details":{"text_tokens":12,"audio_tokens":0,"image_tokens":0,"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":386,"audio_tokens":0},"num_sources_used":0}`,
		grok, 10*1.25*usd + 2*0.2*usd + 387*2.5*usd},
	{"xAI by a reseller, thought within", `{"prompt_tokens":686,"completion_tokens":123,"total_tokens":809,"prompt_tokens_details":{"cached_tokens":679,"text_tokens":686},"completion_tokens_details":{"text_tokens":11,"reasoning_tokens":112},"input_tokens":0,"output_tokens":0,"input_tokens_details":null}`,
		grok, 7*1.25*usd + 679*0.2*usd + 123*2.5*usd},
	{"Gemini, thought only in the total", `{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}`,
		gemini, 20*0.3*usd + (198+405)*2.5*usd},
	{"Gemini, nothing but thought", `{"completion_tokens":0,"total_tokens":81,"prompt_tokens":21,"completion_tokens_details":{"reasoning_tokens":60}}`,
		gemini, 21*0.3*usd + 60*2.5*usd},
	{"Vertex, thought beside and cached", `{"completion_tokens":40,"completion_tokens_details":{"reasoning_tokens":90},"extra_properties":{"google":{"traffic_type":"ON_DEMAND"}},"prompt_tokens":5000,"prompt_tokens_details":{"cached_tokens":4096},"total_tokens":5130}`,
		gemini, 904*0.3*usd + 4096*0.03*usd + 130*2.5*usd},
	{"Groq, times as floats", `{"queue_time":0.090320431,"prompt_tokens":38,"prompt_time":0.004210785,"completion_tokens":4,"completion_time":0.026554065,"total_tokens":42,"total_time":0.03076485}`,
		llama, 38*0.05*usd + 4*0.08*usd},
	{"Groq, cached and thought", `{"queue_time":0.04,"prompt_tokens":4641,"prompt_time":0.05,"completion_tokens":1817,"completion_time":1.2,"total_tokens":6458,"total_time":1.25,"prompt_tokens_details":{"cached_tokens":4608},"completion_tokens_details":{"reasoning_tokens":900}}`,
		mini, 33*0.15*usd + 4608*0.075*usd + 1817*0.6*usd},
	{"Mistral", `{"prompt_tokens":16,"total_tokens":50,"completion_tokens":34,"prompt_audio_seconds":null}`,
		mini, 16*0.15*usd + 34*0.6*usd},
	{"Mistral, an object for none", `{"prompt_audio_seconds":{},"prompt_tokens":16,"total_tokens":50,"completion_tokens":34}`,
		mini, 16*0.15*usd + 34*0.6*usd},
	{"Mistral, sound that is paid by the second", `{"prompt_audio_seconds":203,"prompt_tokens":4,"total_tokens":3264,"completion_tokens":635}`,
		mini, unknown},
	{"OpenRouter, with its own bill", `{"prompt_tokens":194,"completion_tokens":2,"total_tokens":196,"cost":0.95,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":100,"audio_tokens":0,"video_tokens":0},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0}}`,
		claude, 94*3*usd + 100*3.75*usd + 2*15*usd},
	{"OpenRouter, read and written", `{"prompt_tokens":10339,"completion_tokens":60,"total_tokens":10399,"prompt_tokens_details":{"cached_tokens":10318,"cache_write_tokens":21},"completion_tokens_details":{"reasoning_tokens":0},"cost":0.0040741}`,
		claude, 10318*0.3*usd + 21*3.75*usd + 60*15*usd},
	{"Together", `{"prompt_tokens":51,"completion_tokens":96,"total_tokens":147,"cached_tokens":0}`,
		llama, 51*0.05*usd + 96*0.08*usd},
	{"Fireworks", `{"prompt_tokens":24,"total_tokens":48,"completion_tokens":24,"prompt_tokens_details":{"cached_tokens":16}}`,
		kimi, 8*0.6*usd + 16*0.1*usd + 24*3*usd},
	{"Perplexity, search fields beside", `{"prompt_tokens":14,"completion_tokens":70,"total_tokens":84,"search_context_size":"low","citation_tokens":null,"num_search_queries":1,"cost":{"input_tokens_cost":0.00001,"request_cost":0.005}}`,
		price(1*usd, 1*usd, 1*usd), 14*1*usd + 70*1*usd}, // its tokens; a price that is paid by the request is no price of ours
	{"Perplexity, more thought than it counts", `{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,"citation_tokens":20016,"num_search_queries":18,"reasoning_tokens":73997}`,
		research, 33*2*usd + 7163*8*usd},
	{"thought that has a price of its own", `{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,"reasoning_tokens":7000}`,
		research, 33*2*usd + 163*8*usd + 7000*3*usd},
	{"vLLM", `{"prompt_tokens":7,"total_tokens":17,"completion_tokens":10,"prompt_tokens_details":null}`,
		llama, 7*0.05*usd + 10*0.08*usd},
	{"vLLM, told to say what was cached", `{"prompt_tokens":2000,"total_tokens":2010,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":1984}}`,
		free, 0},
	{"Ollama", `{"prompt_tokens":26,"completion_tokens":298,"total_tokens":324}`,
		free, 0},
	{"LM Studio", `{"prompt_tokens":24,"completion_tokens":53,"total_tokens":77,"completion_tokens_details":{"reasoning_tokens":30}}`,
		llama, 24*0.05*usd + 53*0.08*usd},
	{"llama.cpp, nothing used", `{"completion_tokens":0,"prompt_tokens":0,"total_tokens":0}`,
		gpt4o, 0},
	{"Anthropic's compatible endpoint", `{"prompt_tokens":25,"completion_tokens":15,"total_tokens":40,"prompt_tokens_details":null,"completion_tokens_details":null}`,
		claude, 25*3*usd + 15*15*usd},
	{"LiteLLM before Anthropic", `{"completion_tokens":392,"prompt_tokens":14,"total_tokens":406,"prompt_tokens_details":{"audio_tokens":null,"cached_tokens":0,"cache_creation_tokens":0},"cache_creation_input_tokens":0,"cache_read_input_tokens":0}`,
		claude, 14*3*usd + 392*15*usd},
	{"LiteLLM before Anthropic, read and written", `{"completion_tokens":100,"prompt_tokens":5014,"total_tokens":5114,"prompt_tokens_details":{"cached_tokens":4000,"cache_creation_tokens":1000},"cache_creation_input_tokens":1000,"cache_read_input_tokens":4000}`,
		claude, 14*3*usd + 4000*0.3*usd + 1000*3.75*usd + 100*15*usd},
	{"a proxy that leaves the cache out of the prompt", `{"prompt_tokens":14,"completion_tokens":100,"total_tokens":114,"cache_read_input_tokens":4000}`,
		claude, 14*3*usd + 100*15*usd},
	{"Qwen, implicit cache", `{"prompt_tokens":3019,"completion_tokens":104,"total_tokens":3123,"prompt_tokens_details":{"cached_tokens":2048}}`,
		qwen, 971*0.4*usd + 2048*0.04*usd + 104*1.2*usd},
	{"Qwen, explicit cache", `{"prompt_tokens":1605,"completion_tokens":187,"total_tokens":1792,"prompt_tokens_details":{"cached_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":1506},"cache_creation_input_tokens":1506,"cache_type":"ephemeral"}}`,
		qwen, 99*0.4*usd + 1506*0.5*usd + 187*1.2*usd},
	{"Qwen, thought that is dearer", `{"prompt_tokens":10,"completion_tokens":1210,"total_tokens":1220,"completion_tokens_details":{"reasoning_tokens":1000,"text_tokens":210}}`,
		qwen, 10*0.4*usd + 210*1.2*usd + 1000*4*usd},
	{"Zhipu", `{"completion_tokens":217,"prompt_tokens":31,"prompt_tokens_details":{"cached_tokens":4},"total_tokens":248}`,
		kimi, 27*0.6*usd + 4*0.1*usd + 217*3*usd},
	{"Cerebras", `{"prompt_tokens":22,"completion_tokens":6,"total_tokens":28,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
		llama, 22*0.05*usd + 6*0.08*usd},
	{"SambaNova, rates as floats", `{"completion_tokens":237,"completion_tokens_per_sec":211.9,"prompt_tokens":42,"time_to_first_token":0.16,"total_latency":1.2,"total_tokens":279,"is_last_response":true,"stop_reason":"stop"}`,
		llama, 42*0.05*usd + 237*0.08*usd},
	{"NVIDIA", `{"prompt_tokens":21,"total_tokens":55,"completion_tokens":34,"prompt_tokens_details":null}`,
		llama, 21*0.05*usd + 34*0.08*usd},
	{"Cloudflare", `{"prompt_tokens":31,"completion_tokens":29,"total_tokens":60,"prompt_tokens_details":{"cached_tokens":0}}`,
		llama, 31*0.05*usd + 29*0.08*usd},
	{"Cohere's compatible endpoint, floats", `{"prompt_tokens":12.0,"completion_tokens":40.0,"total_tokens":52.0}`,
		gpt4o, 12*2.5*usd + 40*10*usd},
	{"no total", `{"prompt_tokens":12,"completion_tokens":40}`,
		gpt4o, 12*2.5*usd + 40*10*usd},
	{"MiniMax of old, only a total", `{"total_tokens":52}`, gpt4o, unknown},
	{"null", `null`, gpt4o, unknown},
	{"an empty object", `{}`, gpt4o, unknown},
	{"strings", `{"prompt_tokens":"12","completion_tokens":"40","total_tokens":"52"}`, gpt4o, unknown},
	{"negative", `{"prompt_tokens":-12,"completion_tokens":40,"total_tokens":28}`, gpt4o, unknown},
	{"a null count", `{"prompt_tokens":12,"completion_tokens":null,"total_tokens":12}`, gpt4o, unknown},
	{"names of another API", `{"input_tokens":12,"output_tokens":40}`, gpt4o, unknown},
	{"a total that is too small", `{"prompt_tokens":12,"completion_tokens":40,"total_tokens":40}`, gpt4o, unknown},
	{"a part as a string", `{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110,"prompt_tokens_details":{"cached_tokens":"60"}}`,
		gpt4o, 100*2.5*usd + 10*10*usd},
	{"a part that is negative", `{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110,"prompt_tokens_details":{"cached_tokens":-60}}`,
		gpt4o, 100*2.5*usd + 10*10*usd},
	{"parts as floats", `{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110,"prompt_tokens_details":{"cached_tokens":60.0}}`,
		gpt4o, 40*2.5*usd + 60*1.25*usd + 10*10*usd},
	{"a part larger than its whole", `{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110,"completion_tokens_details":{"reasoning_tokens":11}}`,
		qwen, 100*0.4*usd + 10*1.2*usd},
}

func TestQ6_UsageIsPricedRight(t *testing.T) {
	usage := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},`+
			`"finish_reason":"stop"}],"usage":`+usage+`}`)
	}))
	defer server.Close()
	client, err := chat.New(chat.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if len(usageBodies) < 50 {
		t.Errorf("%d bodies", len(usageBodies))
	}
	for _, row := range usageBodies {
		usage = row.usage
		r := client.Do(context.Background(), chat.Call{Body: []byte(`{}`), IdempotencyKey: "batch-0"})
		if r.Class != chat.Done {
			t.Fatalf("%s: %+v", row.from, r)
		}
		p := &tokens.Price{Rates: []tokens.Rates{row.rates}}
		cost, known := p.Cost(tokens.Usage(r.Answer.Usage))
		if !known {
			cost = unknown
		}
		if cost != row.cost {
			t.Errorf("%s: %d, want %d picodollars (%+v)", row.from, int64(cost), int64(row.cost), r.Answer.Usage)
		}
	}
}
