// Small things that every page has.
import Box from '@cloudscape-design/components/box';
import CopyToClipboard from '@cloudscape-design/components/copy-to-clipboard';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import type { ReactNode } from 'react';
import { useHref, useNavigate } from 'react-router';
import { ago, sentence, statusType, time } from '../cloud/words';
import { useHere } from '../cloud/session';

/** A link inside the dashboard; `to` is below the project. */
export function To({ to, children, large }: { to: string; children: ReactNode; large?: boolean }) {
  const { project } = useHere();
  const navigate = useNavigate();
  const path = `/p/${project.id}${to}`;
  const href = useHref(path);
  return (
    <Link href={href} variant="secondary" fontSize={large ? 'heading-xl' : undefined} onFollow={(event) => { event.preventDefault(); void navigate(path); }}>
      {children}
    </Link>
  );
}

/** Goes to a path below the project. */
export function useGo() {
  const { project } = useHere();
  const navigate = useNavigate();
  return (to: string) => void navigate(`/p/${project.id}${to}`);
}

export function Status({ status, task }: { status: string; task?: string | null }) {
  const type = task && task !== 'None' ? 'in-progress' : statusType(status);
  return <StatusIndicator type={type}>{task ? `${sentence(status)} · ${sentence(task).toLowerCase()}` : sentence(status)}</StatusIndicator>;
}

export function Copy({ text, children }: { text: string; children?: ReactNode }) {
  return (
    <span className="mono">
      <CopyToClipboard variant="inline" textToCopy={text} textToDisplay={children ? String(children) : undefined} copyButtonAriaLabel={`Copy ${text}`} copySuccessText="Copied" copyErrorText="Cannot copy" />
    </span>
  );
}

export function Ago({ at }: { at: string | null | undefined }) {
  if (!at) return <>–</>;
  return <time dateTime={at} title={new Date(time(at)).toLocaleString()}>{ago(at)}</time>;
}

/** The same thing as a command. */
export function Command({ text }: { text: string }) {
  return (
    <SpaceBetween size="xxs">
      <Box variant="awsui-key-label">The same as a command</Box>
      <code className="command" data-testid="command">{text}</code>
      <CopyToClipboard variant="icon" textToCopy={text} copyButtonAriaLabel="Copy the command" copySuccessText="Copied" copyErrorText="Cannot copy" />
    </SpaceBetween>
  );
}
