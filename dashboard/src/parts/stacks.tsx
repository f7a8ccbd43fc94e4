// What several pages know of stacks.
import Box from '@cloudscape-design/components/box';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useMemo } from 'react';
import type { Stack } from '../cloud/kinds';
import { Fault } from '../cloud/api';
import { useAsk, useHere } from '../cloud/session';
import { diffLines, STACK_ACTIONS, type ChangeKind, type Changes } from '../cloud/stacks';
import type { Doable } from './list';

/** Where a stack is, below the service. */
export const stackPath = (project: string, stack: Pick<Stack, 'stack_name' | 'id'>) => `/v1/${project}/stacks/${encodeURIComponent(stack.stack_name)}/${stack.id}`;

/** A stack by its id, also one inside another, which no list shows by itself. */
export async function findStack(ask: ReturnType<typeof useAsk>, project: string, id: string): Promise<Stack> {
  const { stacks } = await ask<{ stacks: Stack[] }>('orchestration', `/v1/${project}/stacks?id=${id}&show_nested=true`);
  const found = stacks[0];
  if (!found) throw new Fault('It was deleted, or it is in another project.', 404);
  return (await ask<{ stack: Stack }>('orchestration', stackPath(project, found))).stack;
}

/** The table of actions, each with its call. */
export function useStackActions(): Doable<Stack>[] {
  const ask = useAsk();
  const { project } = useHere();
  return useMemo(
    () =>
      STACK_ACTIONS.map((action) => ({
        ...action,
        run: (stack) => {
          const path = stackPath(project.id, stack);
          return action.body === undefined ? ask('orchestration', path, { method: 'DELETE' }) : ask('orchestration', `${path}/actions`, { method: 'POST', body: action.body });
        },
      })),
    [project.id],
  );
}

const SIGNS: Record<ChangeKind, [string, string]> = { added: ['+', 'Is made'], updated: ['~', 'Is changed in place'], replaced: ['±', 'Is replaced'], deleted: ['−', 'Is deleted'], unchanged: [' ', 'Stays'] };

/** What an update would do, as a diff. */
export function Diff({ changes }: { changes: Changes }) {
  const lines = diffLines(changes);
  const count = (kind: ChangeKind) => changes[kind]?.length ?? 0;
  return (
    <SpaceBetween size="s">
      <Box variant="p">{count('added')} to make, {count('updated')} to change in place, {count('replaced')} to replace, {count('deleted')} to delete, {count('unchanged')} unchanged.</Box>
      {lines.length > 0 && (
        <ul className="diff" aria-label="What the update would do">
          {lines.map(({ kind, change, properties }) => (
            <li key={change.resource_name} className={kind}>
              <span className="sign" aria-hidden="true">{SIGNS[kind][0]}</span>
              <div>
                <b>{change.resource_name}</b> <span className="kind">{change.resource_type}</span>
                <div className="why">{SIGNS[kind][1]}: {change.why}</div>
                {properties.map((property) => <div key={property} className="mono">{property}</div>)}
              </div>
            </li>
          ))}
        </ul>
      )}
    </SpaceBetween>
  );
}
