import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { explainSchema, type ExplainQuestion } from '../../schemas/explain.ts';
import { ConfigurationError, validate } from '../../schemas/validate.ts';
import { explain, type ExplainParts, type Explanation } from '../llm-cache/explain.ts';
import type { Identity, KnownIdentity } from '../shared/identity/identity.ts';
import { findProtocol } from '../shared/protocols/index.ts';
import { pathOf } from '../hosts/node/request-target.ts';
import { holds } from './conditions.ts';
import { resolveConsumer, type ConsumerServices } from './entries.ts';
import { AdminError } from './http.ts';
import { conditionRequest, simulatedRequest } from './simulated-request.ts';
import type { AskedQuestion } from './simulated-body.ts';

/** A pipeline's `llm-cache` steps in the current configuration. */
export interface CachePipeline {
  readonly name: string;
  readonly steps: readonly CacheStep[];
}

export interface CacheStep {
  readonly condition: unknown;
  readonly settings: LlmCacheSettings;
}

export interface ExplainServices {
  /** Returns the pipeline that serves an apiEndpoint, or undefined if none does. */
  pipelineAt(apiEndpoint: string): CachePipeline | undefined;
  readonly apiEndpoints: readonly string[];
  parts(settings: LlmCacheSettings): ExplainParts;
  /** Returns the host's identity for the consumer that a question describes. */
  identify(consumer: unknown): Identity;
}

/** The services needed to answer a question. */
export interface QuestionServices extends ConsumerServices {
  readonly explain: ExplainServices;
}

type Answered = Explanation & {
  readonly pipeline: string;
  readonly step: number | null;
  /** The question's consumer, if it has an id. */
  readonly consumer: { readonly id: string; readonly name: string | null } | null;
};

/** Answers `POST /llm-cache/explain`. Throws an AdminError for an invalid question. */
export async function answerQuestion(
  { asked, body }: AskedQuestion,
  services: QuestionServices,
): Promise<Answered> {
  const question = await withConsumer(validated(asked), services);
  const { id } = services.explain.identify(question.consumer) as Partial<KnownIdentity>;
  const names = await services.consumers.of([id]);
  const consumer = typeof id === 'string' ? { id, name: names.get(id) ?? null } : null;
  const explanation = await explainFor(question, body, services.explain);
  const near = await services.consumers.named(explanation.nearest);
  return { consumer, ...explanation, nearest: near };
}

async function explainFor(
  question: ExplainQuestion,
  body: Uint8Array | null,
  services: ExplainServices,
): Promise<Omit<Answered, 'consumer'>> {
  const pipeline = services.pipelineAt(question.apiEndpoint);
  if (pipeline === undefined) {
    const known = services.apiEndpoints.join(', ') || 'none';
    throw new AdminError(
      400,
      `"apiEndpoint" must be one that a pipeline serves (${known}), got ${JSON.stringify(question.apiEndpoint.slice(0, 80))}`,
    );
  }
  const { name, steps } = pipeline;
  const protocol = findProtocol(pathOf(question.path));
  if (protocol === null) {
    return {
      pipeline: name,
      step: null,
      ...passExplanation('the path is not one that the cache serves'),
    };
  }
  const verdicts = steps.map(({ condition }) => holds(condition, conditionRequest(question)));
  const at = verdicts.findIndex((verdict) => verdict !== false);
  const step = steps[at];
  if (step === undefined) {
    return {
      pipeline: name,
      step: null,
      ...passExplanation('no llm-cache step has a condition that holds'),
    };
  }
  const parts = services.parts(step.settings);
  const bytes = body ?? new Uint8Array();
  const request = simulatedRequest(question, bytes, protocol, services.identify);
  const explanation = await explain(request, parts);
  const doubt = verdicts[at] === null ? ', if the condition of its step holds' : '';
  return { pipeline: name, step: at, ...explanation, rule: `${explanation.rule}${doubt}` };
}

/** Replaces a consumer's name by its id. Throws an AdminError if no consumer matches, or several do. */
async function withConsumer(
  question: ExplainQuestion,
  services: QuestionServices,
): Promise<ExplainQuestion> {
  const { consumer } = question;
  if (typeof consumer !== 'string' || consumer === '') return question;
  return { ...question, consumer: await resolveConsumer(consumer, services) };
}

function validated(asked: unknown): ExplainQuestion {
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) {
    throw new AdminError(400, 'the body is not a JSON object');
  }
  try {
    return validate<ExplainQuestion>(explainSchema, asked, 'the question');
  } catch (error) {
    if (error instanceof ConfigurationError) throw new AdminError(400, error.message);
    throw error;
  }
}

function passExplanation(rule: string): Explanation {
  return { outcome: 'pass', reason: null, rule, key: null, material: null, nearest: [] };
}
