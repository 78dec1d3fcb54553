# The same over mysqli, which Doctrine DBAL uses with prepared statements of the binary protocol.

. "$here/doctrine.sh"
driver=mysqli
