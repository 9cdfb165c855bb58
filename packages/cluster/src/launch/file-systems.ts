/**
 * Which file systems can hold the state directory, by the name that the kernel gives their type. A claim is a `mkdir`, a record is
 * synced, a lock is the kernel's: all three hold on a local disk alone.
 */

const NETWORK =
  /^(nfs[34]?|nfsd|cifs|smb[23]?|smb3|smbfs|ncpfs|afs|auristorfs|k-afs|coda|ceph|lustre|9p|v9fs|virtiofs|gpfs|gfs2?|gfs\/gfs2|ocfs2|glusterfs|beegfs|fhgfs|orangefs|pvfs2|panfs|wekafs|vboxsf|prl_fs|drvfs)$/
/** FUSE programs that only lay something over a local directory or disk. */
const LOCAL_FUSE =
  /^(fuseblk|fuse\.(mergerfs|fuse-overlayfs|ntfs|ntfs-3g|exfat|gocryptfs|encfs|cryfs|bindfs|zfs-fuse))$/
const MEMORY = /^(tmpfs|ramfs)$/

/** What is wrong with the type, in words that follow "lies on"; undefined where it is a local one, or not known. */
export function notLocal(type: string): string | undefined {
  if (NETWORK.test(type)) return `a network file system (${type})`
  if (/^fuse(\.|$)/.test(type) && !LOCAL_FUSE.test(type)) return `a file system of another program (${type})`
  return undefined
}

/** Whether a reboot empties it. */
export function isMemory(type: string): boolean {
  return MEMORY.test(type)
}
