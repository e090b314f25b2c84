# Configuration files as libsasl2 reads them: the same options from the same file, found in the same folder.

use strict;
use warnings;
use Test::More;
