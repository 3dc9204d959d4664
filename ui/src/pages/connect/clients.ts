// What each client needs to be told, with the reader's own address. Checked 2026-11.

export interface Client {
  name: string;
  snippet: (origin: string, workspace: string) => string;
  caution?: string;
}

const base = (origin: string, workspace: string) => (workspace === "" ? origin : `${origin}/w/${workspace}`);

export const CLIENTS: Client[] = [
  {
    name: "OpenAI SDK",
    snippet: (origin, workspace) => `export OPENAI_BASE_URL=${base(origin, workspace)}/v1\n# OPENAI_API_KEY stays as it is`,
  },
  {
    name: "Anthropic SDK",
    snippet: (origin, workspace) => `export ANTHROPIC_BASE_URL=${base(origin, workspace)}\n# ANTHROPIC_API_KEY stays as it is`,
  },
  {
    name: "Claude Code",
    snippet: (origin, workspace) => `export ANTHROPIC_BASE_URL=${base(origin, workspace)}\nclaude`,
    caution: "Works with a key and with a subscription; subscription calls show what they would cost at list price.",
  },
  {
    name: "Codex",
    snippet: (origin, workspace) =>
      `# ~/.codex/config.toml\nmodel_provider = "tollgate"\n\n[model_providers.tollgate]\nname = "Tollgate"\nbase_url = "${base(origin, workspace)}/v1"\nenv_key = "OPENAI_API_KEY"\nwire_api = "responses"`,
    caution: "Current releases accept only `responses`, and read the file when they start.",
  },
  {
    name: "Gemini SDK",
    snippet: (origin, workspace) => `from google import genai\nclient = genai.Client(http_options={"base_url": "${base(origin, workspace)}"})`,
  },
  {
    name: "OpenRouter",
    snippet: (origin, workspace) => `export OPENAI_BASE_URL=${base(origin, workspace)}/openrouter/api/v1\n# OPENAI_API_KEY is your OpenRouter key`,
  },
  {
    name: "Ollama",
    snippet: (origin, workspace) => `export OLLAMA_HOST=${base(origin, workspace)}/ollama\nollama run llama3.2`,
  },
  {
    name: "aider",
    snippet: (origin, workspace) => `aider --openai-api-base ${base(origin, workspace)}/v1 --model gpt-5.1`,
  },
  {
    name: "curl",
    snippet: (origin, workspace) =>
      `curl ${base(origin, workspace)}/v1/chat/completions \\\n  -H "authorization: Bearer $OPENAI_API_KEY" -H 'content-type: application/json' \\\n  -d '{"model":"gpt-5-mini","messages":[{"role":"user","content":"Hello"}]}'`,
  },
  {
    name: "Cursor",
    snippet: (origin) => `# Cursor's servers make the call; they cannot reach ${origin}`,
    caution: "Its servers, not your laptop, call the model, so no address on this machine works there.",
  },
];
