/** The result of one scenario, a row of the table. */
export interface Finding {
  readonly what: string;
  readonly figures: string;
  /** Whether everything that the scenario requires was true. */
  readonly held: boolean;
}

export type Scenario = () => Promise<Finding>;

export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Returns a chat request. */
export const chat = (more: object) => ({ model: 'gpt-4o', messages: [], ...more });

/** Returns a complete chat answer with that content. */
export function answerTo(words: string): string {
  return JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    model: 'gpt-4o',
    choices: [{ index: 0, message: { role: 'assistant', content: words }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  });
}

/** Returns the events of a complete chat stream, one per word and two for its ending. */
export function streamOf(words: readonly string[]): string[] {
  const chunk = (delta: object, finish: string | null) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-bench', model: 'gpt-4o', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  return [
    ...words.map((content) => chunk({ content }, null)),
    chunk({}, 'stop'),
    'data: [DONE]\n\n',
  ];
}
