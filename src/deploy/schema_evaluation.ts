/**
 * What a push would cost, for the questions that the official CLI asks before it deploys: dropping or filling
 * the index of a large table wants confirmation (deploy-protocol 3.12).
 */
import type { IndexConfig, IndexPlan } from "./index_plan.ts";

type IndexPrediction = IndexConfig & {
  readonly change: "added" | "enabled" | "disabled" | "dropped";
  readonly needsBackfill: boolean;
  readonly numDocs: number;
};

export interface SchemaEvaluation {
  /** Of the component; empty for the app. */
  readonly path: string;
  /** Path of its definition. */
  readonly definition: string;
  readonly schemaValidation: boolean;
  readonly plan: IndexPlan;
  readonly countDocuments: (table: string) => number;
}

export function schemaEvaluationResponse(evaluations: readonly SchemaEvaluation[]) {
  return {
    componentSchemaEvaluations: Object.fromEntries(
      evaluations.map((evaluation) => [evaluation.path, evaluationOf(evaluation)]),
    ),
    newComponentDefinitions: [],
  };
}

function evaluationOf(
  { definition, schemaValidation, plan, countDocuments }: SchemaEvaluation,
) {
  const predict = (
    indexes: readonly IndexConfig[],
    change: IndexPrediction["change"],
    needsBackfill: boolean,
  ): IndexPrediction[] =>
    indexes.map((index) => ({
      ...index,
      change,
      needsBackfill,
      numDocs: countDocuments(index.name.slice(0, index.name.indexOf("."))),
    }));
  const { diff, enable } = plan;
  const someStagedIsUnfilled = enable.some(({ state }) => state === "stagedBackfilling");
  return {
    definitionPath: definition,
    schemaValidation,
    // Sizes of tables, for a warning about slow validation, are not kept.
    tables: [],
    indexes: [
      ...predict(diff.added_indexes, "added", true),
      ...predict(diff.enabled_indexes, "enabled", someStagedIsUnfilled),
      ...predict(diff.disabled_indexes, "disabled", false),
      ...predict(diff.removed_indexes, "dropped", false),
    ],
    discardedStagedValidators: [],
  };
}
