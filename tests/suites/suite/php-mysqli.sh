# PHP's own tests of its extension mysqli (mysqlnd, an implementation of the protocol of its own).
extension=mysqli
. "$here/php.sh"
