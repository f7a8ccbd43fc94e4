// Pages of administrators.
import Alert from '@cloudscape-design/components/alert';
import type { ReactNode } from 'react';
import { useHere } from '../cloud/session';

export function AdminOnly({ children }: { children: ReactNode }) {
  const { isAdmin, project } = useHere();
  if (isAdmin) return children;
  return <Alert type="warning" header="This is for administrators">You have no role admin in the project {project.name}. If you have it in another, switch to that one.</Alert>;
}
