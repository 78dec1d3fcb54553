# PHP's own tests of its extension pdo_mysql.
extension=pdo_mysql
. "$here/php.sh"
