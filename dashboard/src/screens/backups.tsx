// Backups of volumes, kept in object storage.
import { BackupList } from '../parts/copies';

export const Backups = () => <BackupList />;
