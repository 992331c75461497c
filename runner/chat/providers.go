package chat

import "strings"

// provider is an API of somebody else, with the variable that its users keep their key in.
type provider struct {
	domains, variable string
}

// providers are the hosts that a key for the Assisters API is never meant for.
var providers = []provider{
	{"openai.com", "OPENAI_API_KEY"},
	{"azure.com azure.us azure.cn", "AZURE_OPENAI_API_KEY"},
	{"anthropic.com", "ANTHROPIC_API_KEY"},
	{"openrouter.ai", "OPENROUTER_API_KEY"},
	{"together.xyz together.ai", "TOGETHER_API_KEY"},
	{"groq.com", "GROQ_API_KEY"},
	{"mistral.ai", "MISTRAL_API_KEY"},
	{"deepseek.com", "DEEPSEEK_API_KEY"},
	{"cohere.com cohere.ai", "COHERE_API_KEY"},
	{"fireworks.ai", "FIREWORKS_API_KEY"},
	{"perplexity.ai", "PERPLEXITY_API_KEY"},
	{"x.ai", "XAI_API_KEY"},
	{"googleapis.com", "GEMINI_API_KEY"},
	{"amazonaws.com", "AWS_BEARER_TOKEN_BEDROCK"},
	{"deepinfra.com", "DEEPINFRA_API_KEY"},
	{"cerebras.ai", "CEREBRAS_API_KEY"},
	{"nvidia.com", "NVIDIA_API_KEY"},
	{"huggingface.co", "HF_TOKEN"},
	{"replicate.com", "REPLICATE_API_TOKEN"},
	{"novita.ai", "NOVITA_API_KEY"},
	{"moonshot.ai moonshot.cn", "MOONSHOT_API_KEY"},
	{"aliyuncs.com", "DASHSCOPE_API_KEY"},
	{"z.ai bigmodel.cn", "ZAI_API_KEY"},
	{"sambanova.ai", "SAMBANOVA_API_KEY"},
	{"nebius.com nebius.ai", "NEBIUS_API_KEY"},
	{"hyperbolic.xyz", "HYPERBOLIC_API_KEY"},
	{"parasail.io", "PARASAIL_API_KEY"},
	{"ai21.com", "AI21_API_KEY"},
	{"minimax.io minimaxi.com", "MINIMAX_API_KEY"},
	{"siliconflow.cn siliconflow.com", "SILICONFLOW_API_KEY"},
	{"lambda.ai lambdalabs.com", "LAMBDA_API_KEY"},
	{"github.ai githubcopilot.com", "GITHUB_TOKEN"},
	{"cloudflare.com", "CLOUDFLARE_API_TOKEN"},
}

// providerOf is the provider that a host belongs to, nil for none that is known.
func providerOf(host string) *provider {
	for i := range providers {
		for domain := range strings.FieldsSeq(providers[i].domains) {
			if isDomain(host, domain) {
				return &providers[i]
			}
		}
	}
	return nil
}

// providerVariable says whether a variable is known to hold another provider's key.
func providerVariable(name string) bool {
	for _, p := range providers {
		if p.variable == name {
			return true
		}
	}
	switch name {
	case "GOOGLE_API_KEY", "HUGGINGFACE_API_KEY", "AZURE_API_KEY", "CO_API_KEY", "TOGETHERAI_API_KEY":
		return true
	}
	return false
}
