// Snapshots of volumes: what new ones can be made from.
import { SnapshotList } from '../parts/copies';

export const Snapshots = () => <SnapshotList />;
