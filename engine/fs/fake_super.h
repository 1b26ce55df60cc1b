// FakeSuper: a driver that keeps in extended attributes what only a privileged process may set, as rsync's --fake-super
// does.
//
// Owner, group, mode and device number of an object are in its attribute user.rsync.%stat where they are not what the
// file system shows; symlinks, devices, FIFOs and sockets are files (a symlink's holds its target); ACLs are in
// user.rsync.%aacl and %dacl (fake_acl.h), attributes of other kinds than user.* under user.rsync.NAME; real
// ones of those kinds are shown where none is kept in their place, and never set. Whoever uses the driver sees and
// makes what these say: statx, chown, chmod, mknod, symlink, readlink and the calls for attributes are answered from
// there. Real permissions never shut out the owner and let nobody run a file as somebody else.
//
// Thread rule: as the driver that it wraps.
// Use:  options.wrap_driver = [](std::unique_ptr<Driver> driver) { return FakeSuper(std::move(driver)); };
#pragma once

#include <memory>

#include "engine/ring/driver.h"

namespace uringsync {

std::unique_ptr<Driver> FakeSuper(std::unique_ptr<Driver> driver);

}  // namespace uringsync
